/**
 * `bun without_nftables.ts PROGRAM ARGS…`: executes a program for which, and for whatever it starts, the
 * kernel has no nf_tables. socket(2) says for NETLINK_NETFILTER what it says in a kernel without it.
 */
import { execve, stringVector } from "../../src/linux/process.ts";
import { filterProgram, setFilter } from "../../src/linux/seccomp.ts";
import { Assembler, BPF_JMP_JEQ_K, DATA_NR, dataArgument, Return } from "../../src/seccomp/bpf.ts";

const SYS_socket = process.arch === "x64" ? 41 : 198;
const AF_NETLINK = 16;
const NETLINK_NETFILTER = 12;
const EPROTONOSUPPORT = 93;
const SECCOMP_RET_ERRNO = 0x00050000;
const SECCOMP_RET_ALLOW = 0x7fff0000;

const program = new Assembler();
const allow = new Return(SECCOMP_RET_ALLOW);
program.branch(
  BPF_JMP_JEQ_K,
  NETLINK_NETFILTER,
  new Return(SECCOMP_RET_ERRNO | EPROTONOSUPPORT),
  allow,
);
const isFilter = program.load(dataArgument(2));
program.branch(BPF_JMP_JEQ_K, AF_NETLINK, isFilter, allow);
const isNetlink = program.load(dataArgument(0));
program.branch(BPF_JMP_JEQ_K, SYS_socket, isNetlink, allow);
program.load(DATA_NR);
setFilter(filterProgram(program.finish()), 0);
const [, , path = "", ...args] = process.argv;
const environment = Object.entries(process.env).map(([name, value]) => `${name}=${value}`);
execve(path, stringVector([path, ...args]), stringVector(environment));
