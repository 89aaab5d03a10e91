#include <stdio.h>

int main(void) {
  puts("Hello from an image that tsbuild built");
  return 0;
}
