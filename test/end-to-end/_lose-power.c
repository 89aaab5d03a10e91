/* lose-power DIRECTORY: the file system of DIRECTORY writes nothing any more, not even its journal, as when the power fails: FS_IOC_SHUTDOWN. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

int main(int argc, char **argv) {
  uint32_t without_journal = 2;
  int fd = argc == 2 ? open(argv[1], O_RDONLY | O_DIRECTORY) : -1;
  if (fd < 0 || ioctl(fd, _IOR('X', 125, uint32_t), &without_journal) != 0) { perror("lose-power"); return 1; }
  return 0;
}
