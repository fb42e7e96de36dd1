# The instructions of src/runtime/trampoline.ts, whose test assembles this and compares.
.intel_syntax noprefix
.globl _start
_start:
  mov r12, rsp
  mov r13d, dword ptr [rip+socket]
  mov r14d, dword ptr [rip+listener]
  sub rsp, 16
  cmp r14d, 0
  jl alone
  mov edi, r14d
  mov esi, 2  # F_SETFD
  mov edx, 1  # FD_CLOEXEC
  mov eax, 72  # fcntl
  syscall
  test rax, rax
  js report
  mov eax, 1  # it waits
  call say
  call hear
  cmp rax, 4  # "keep"
  jne leave
wait:
  mov edi, r13d
  mov eax, 3  # close
  syscall
  mov edi, r14d
  xor esi, esi
  xor edx, edx
  mov r10d, 0x80000  # SOCK_CLOEXEC
  mov eax, 288  # accept4
  syscall
  test rax, rax
  js leave
  mov r13d, eax
  call hear
  cmp rax, 5  # "start"
  jne wait
  xor eax, eax  # it executes
  call say
  jmp command
alone:
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
  call say
leave:
  mov edi, 127
  mov eax, 231  # exit_group
  syscall
  hlt
say:  # rax, as 8 bytes to the socket
  mov [rsp+8], rax
  mov edi, r13d
  lea rsi, [rsp+8]
  mov edx, 8
  mov eax, 1  # write
  syscall
  ret
hear:  # a message from the socket; its length in rax
  mov edi, r13d
  lea rsi, [rsp+8]
  mov edx, 8
  xor eax, eax  # read
  syscall
  ret
.balign 4
# filled in by trampoline.ts
socket: .long 0
flags: .long 0
terminal: .long 0
listener: .long 0
