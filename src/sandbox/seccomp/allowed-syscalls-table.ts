/**
 * What the default seccomp profile of the container world lets a process call (moby/profiles seccomp, 2026-06-30),
 * by name: a name that an ABI does not have is skipped there. Everything that is not named here is refused.
 */

/** Allowed without a condition. */
export const ALLOWED_SYSCALLS = `
  read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 lseek _llseek sendfile sendfile64 splice tee vmsplice
  copy_file_range readahead fadvise64 fadvise64_64 open openat openat2 creat close close_range dup dup2 dup3 pipe pipe2 fcntl fcntl64
  ioctl flock fsync fdatasync sync syncfs sync_file_range truncate truncate64 ftruncate ftruncate64 fallocate cachestat
  stat stat64 lstat lstat64 fstat fstat64 fstatat64 newfstatat statx statfs statfs64 fstatfs fstatfs64 access faccessat faccessat2
  chmod fchmod fchmodat fchmodat2 chown chown32 lchown lchown32 fchown fchown32 fchownat umask
  utime utimes futimesat utimensat utimensat_time64 getdents getdents64 getcwd chdir fchdir mkdir mkdirat rmdir mknod mknodat
  link linkat symlink symlinkat readlink readlinkat rename renameat renameat2 unlink unlinkat name_to_handle_at
  getxattr lgetxattr fgetxattr getxattrat setxattr lsetxattr fsetxattr setxattrat listxattr llistxattr flistxattr listxattrat
  removexattr lremovexattr fremovexattr removexattrat inotify_init inotify_init1 inotify_add_watch inotify_rm_watch fanotify_mark
  listmount statmount

  select _newselect pselect6 pselect6_time64 poll ppoll ppoll_time64 epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_wait
  epoll_wait_old epoll_pwait epoll_pwait2 eventfd eventfd2 signalfd signalfd4 timerfd_create timerfd_gettime timerfd_gettime64
  timerfd_settime timerfd_settime64 io_setup io_destroy io_submit io_cancel io_getevents io_pgetevents io_pgetevents_time64

  socketpair socketcall bind listen accept accept4 connect shutdown getsockname getpeername getsockopt setsockopt
  send sendto sendmsg sendmmsg recv recvfrom recvmsg recvmmsg recvmmsg_time64

  mmap mmap2 munmap mremap mprotect msync madvise mincore mlock mlock2 mlockall munlock munlockall brk remap_file_pages membarrier
  memfd_create memfd_secret mseal map_shadow_stack pkey_alloc pkey_free pkey_mprotect process_mrelease

  fork vfork execve execveat exit exit_group wait4 waitid waitpid kill tkill tgkill pause restart_syscall rseq uretprobe prctl
  getpid getppid gettid getpgid getpgrp setpgid getsid setsid pidfd_open pidfd_send_signal set_tid_address
  get_robust_list set_robust_list get_thread_area set_thread_area futex futex_time64 futex_waitv futex_wait futex_wake futex_requeue
  rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64
  rt_tgsigqueueinfo sigaltstack sigprocmask sigreturn seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self

  getuid getuid32 geteuid geteuid32 getgid getgid32 getegid getegid32 getresuid getresuid32 getresgid getresgid32 getgroups
  getgroups32 setuid setuid32 setgid setgid32 setreuid setreuid32 setregid setregid32 setresuid setresuid32 setresgid setresgid32
  setfsuid setfsuid32 setfsgid setfsgid32 setgroups setgroups32 capget capset

  getpriority setpriority ioprio_get ioprio_set getrlimit ugetrlimit setrlimit prlimit64 getrusage getcpu sysinfo uname getrandom
  sched_getaffinity sched_setaffinity sched_getattr sched_setattr sched_getparam sched_setparam sched_getscheduler
  sched_setscheduler sched_get_priority_max sched_get_priority_min sched_rr_get_interval sched_rr_get_interval_time64 sched_yield

  time times gettimeofday adjtimex clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64
  clock_nanosleep clock_nanosleep_time64 nanosleep alarm getitimer setitimer timer_create timer_delete timer_getoverrun
  timer_gettime timer_gettime64 timer_settime timer_settime64

  ipc msgctl msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64 shmat shmctl shmdt shmget
  mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink
`;

/** Allowed on the machine's architecture, and on the 32-bit ABI that runs beside it. */
export const ALLOWED_SYSCALLS_OF_ARCH = {
  x64: 'arch_prctl modify_ldt',
  arm64: 'arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls',
} as const;

/** Allowed since Linux 4.8, where ptrace can no longer change a system call that seccomp has let through. */
export const ALLOWED_SYSCALLS_SINCE_4_8 = 'process_vm_readv process_vm_writev ptrace';

/** Allowed to a process whose bounding set has the capability. */
export const ALLOWED_SYSCALLS_OF_CAPABILITY: Readonly<Record<string, string>> = {
  CAP_SYS_CHROOT: 'chroot',
  CAP_DAC_READ_SEARCH: 'open_by_handle_at',
  CAP_SYS_ADMIN: `
    bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr lsm_list_modules lsm_set_self_attr
    mount mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname sethostname setns syslog umount umount2
    unshare`,
  CAP_SYS_BOOT: 'reboot',
  CAP_SYS_MODULE: 'delete_module init_module finit_module',
  CAP_SYS_PACCT: 'acct',
  CAP_SYS_PTRACE: 'kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace',
  CAP_SYS_RAWIO: 'iopl ioperm',
  CAP_SYS_TIME: 'settimeofday stime clock_settime clock_settime64',
  CAP_SYS_TTY_CONFIG: 'vhangup',
  CAP_SYS_NICE: 'get_mempolicy mbind set_mempolicy set_mempolicy_home_node',
  CAP_SYSLOG: 'syslog',
  CAP_BPF: 'bpf',
  CAP_PERFMON: 'perf_event_open',
};
