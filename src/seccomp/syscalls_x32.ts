/**
 * The table of what x32 does otherwise than x86-64 (asm/unistd_x32.h; syscall_64.tbl of the kernel).
 * Every x32 call has bit 30 of its number set, which is left out in the table.
 */
export const X32_SYSCALL_BIT = 0x40000000;

/** Calls with a number of their own, in the form of the other tables. */
export const X32_SYSCALLS: Readonly<Record<number, string>> = {
  512: `\
rt_sigaction rt_sigreturn ioctl readv writev recvfrom sendmsg recvmsg execve ptrace \
rt_sigpending rt_sigtimedwait rt_sigqueueinfo sigaltstack timer_create mq_notify kexec_load \
waitid set_robust_list get_robust_list vmsplice move_pages preadv pwritev rt_tgsigqueueinfo \
recvmmsg sendmmsg process_vm_readv process_vm_writev setsockopt getsockopt io_setup \
io_submit execveat preadv2 pwritev2`,
};

/** Calls of x86-64 that x32 does not have. */
export const X32_ABSENT = `\
uselib _sysctl create_module get_kernel_syms query_module nfsservctl set_thread_area \
get_thread_area epoll_ctl_old epoll_wait_old vserver`;
