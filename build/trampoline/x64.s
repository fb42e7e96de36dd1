# The instructions of src/runtime/trampoline.ts, whose test assembles this and compares.
.intel_syntax noprefix
.globl _start
_start:
  mov r12, rsp
  mov r13d, dword ptr [rip+socket]
  mov edi, r13d
  mov esi, 2  # F_SETFD
  mov edx, 1  # FD_CLOEXEC
  mov eax, 72  # fcntl
  syscall
  test rax, rax
  js report
  mov edi, dword ptr [rip+flags]
  test edi, edi
  jz command
  xor esi, esi
  xor edx, edx
  xor r10d, r10d
  xor r8d, r8d
  mov eax, 56  # clone
  syscall
  test rax, rax
  jnz report
  mov eax, 112  # setsid
  syscall
  test rax, rax
  js report
  cmp dword ptr [rip+terminal], 0
  je command
  xor edi, edi
  mov esi, 0x540e  # TIOCSCTTY
  xor edx, edx
  mov eax, 16  # ioctl
  syscall
  test rax, rax
  js report
command:
  mov rdi, [r12+8]
  lea rsi, [r12+16]
  mov rax, [r12]
  lea rdx, [r12+rax*8+16]
  mov eax, 59  # execve
  syscall
report:
  push rax
  mov edi, r13d
  mov rsi, rsp
  mov edx, 8
  mov eax, 1  # write
  syscall
  mov edi, 127
  mov eax, 231  # exit_group
  syscall
  hlt
.balign 4
# filled in by trampoline.ts
socket: .long 0
flags: .long 0
terminal: .long 0
