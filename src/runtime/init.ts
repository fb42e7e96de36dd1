/**
 * The container's first process, from the fork to execve(2); protocol.ts shows what it and its
 * creator tell each other. Synchronous code only: it has one thread, and after the namespaces are
 * entered nothing of Bun's that runs elsewhere may be used.
 */
import { close } from "../linux/fd.ts";
import {
  exitNow,
  getpid,
  PR_SET_DUMPABLE,
  PR_SET_PDEATHSIG,
  prctl,
  SIGNALS,
  setCredentials,
  setsid,
  umask,
} from "../linux/process.ts";
import { Procfs } from "../linux/procfs.ts";
import { accept } from "../linux/socket.ts";
import { joinNamespaces, needsStage, ThreadsError } from "../namespaces/join.ts";
import { isNew } from "../namespaces/namespaces.ts";

import { openConsole } from "../rootfs/console.ts";

import { applyAttributes } from "./attributes.ts";
import { checkCommand, executeCommand, executeLater, findCommand } from "./command.ts";
import { abortSilently, type Entry, enterProcess, takeDescriptors } from "./enter.ts";
import { runHooks, stateWithPid } from "./hooks.ts";
import type { InitPlan } from "./init_plan.ts";
import { openLabel } from "./labels.ts";
import { beginRoot, enterRoot, finishRoot, openHostTrees, setUpNamespaces } from "./prepare.ts";
import { awaitSignal, tell } from "./protocol.ts";
import { mapped, resolveUser } from "./resolve_user.ts";
import { explainOpenFiles } from "./rlimits.ts";
import { enterKeyring, finishNotified } from "./security.ts";
import { StartError } from "./start_error.ts";

/** Runs in the forked child; ends in execve(2) or _exit(2), never returns. */
export function runInit(plan: InitPlan, socket: number): never {
  return new Init(plan, socket).run();
}

class Init {
  /** Where the other side listens: the creator, later whoever starts the command. */
  #channel: number;

  constructor(
    readonly plan: InitPlan,
    socket: number,
  ) {
    this.#channel = socket;
  }

  run(): never {
    try {
      abortSilently();
      prctl(PR_SET_PDEATHSIG, SIGNALS.SIGKILL); // one that hangs, with its creator gone, nobody would end
      const prepared = this.#prepare();
      const { entry: entered, path } = this.#enter(prepared);
      const entry = finishNotified(entered, this.#channel);
      const { spec, hookState } = this.plan;
      this.#startLater(path, entry);
      this.#awaitStart();
      if (hookState !== undefined) {
        const hooks = spec.hooks.startContainer ?? [];
        runHooks("startContainer", hooks, stateWithPid(hookState, getpid()));
      }
      executeCommand(path, entry, { socket: this.#channel, reaper: this.plan.reaper });
    } catch (error) {
      const exitCode = error instanceof StartError ? error.exitCode : 125;
      const said = error instanceof Error ? error.message : String(error);
      const message = explainOpenFiles(error) ?? said;
      const again = error instanceof ThreadsError;
      try {
        tell(this.#channel, { kind: "failed", message, exitCode, again });
      } catch {
        // The other side is gone: nobody is left to tell.
      }
    }
    return exitNow(1);
  }

  /** Everything that is done with the host still in sight. */
  #prepare(): Entry & { rootFd: number } {
    const { plan } = this;
    const { namespaces } = plan.spec.linux;
    umask(0);
    if (!needsStage(namespaces)) joinNamespaces(namespaces);
    const trees = openHostTrees(plan);
    if (namespaces.some(({ type }) => type === "user")) this.#becomeRoot();
    prctl(PR_SET_DUMPABLE, 0); // nothing that shares the namespace may look into us (CVE-2016-9962)
    setsid();
    if (plan.keyring !== undefined) enterKeyring(plan.keyring, namespaces);
    const waiting = beginRoot(plan, trees);
    if (!awaitSignal(this.#channel, "go")) return exitNow(1); // the creator has given up
    finishRoot(plan, waiting);
    const { rootFd } = waiting;
    const { process } = plan.spec;
    using procfs = new Procfs();
    const label = openLabel(process, procfs);
    let master: number | undefined;
    if (process.terminal) {
      master = openConsole(rootFd);
      tell(this.#channel, { kind: "console" }, master);
    }
    setUpNamespaces(plan.spec);
    if (plan.hookState !== undefined) this.#runHooks(plan.hookState);
    return {
      rootFd,
      process,
      user: mapped(resolveUser(process, plan.account, rootFd), plan.spec.linux),
      streams: plan,
      ...(master === undefined ? {} : { master }),
      ...(label === undefined ? {} : { label }),
      ...(plan.seccomp === undefined ? {} : { seccomp: plan.seccomp }),
      dieWithParent: plan.dieWithParent,
      ownsTerminal: !plan.reaper,
    };
  }

  /** Root of a user namespace that is new, or was joined; until its ids are mapped nobody is. */
  #becomeRoot(): void {
    if (isNew(this.plan.spec.linux.namespaces, "user") && !awaitSignal(this.#channel, "mapped")) {
      exitNow(1);
    }
    setCredentials(0, 0, []);
  }

  /** Those of the creator, then createContainer: the container's namespaces, with the host's paths. */
  #runHooks(state: string): void {
    tell(this.#channel, { kind: "mounted" });
    if (!awaitSignal(this.#channel, "hooked")) exitNow(1);
    const hooks = this.plan.spec.hooks.createContainer ?? [];
    runHooks("createContainer", hooks, stateWithPid(state, getpid()));
  }

  /** Leaves the host behind: root, terminal, descriptors, privileges. @returns where the command is, too */
  #enter(prepared: Entry & { rootFd: number }): { entry: Entry; path: string } {
    const { startSocket } = this.plan;
    enterRoot(prepared.rootFd, this.plan);
    const kept = startSocket === undefined ? [this.#channel] : [this.#channel, startSocket];
    const { numbers, entry } = takeDescriptors(prepared, kept);
    this.#channel = numbers[0] as number; // known before anything else can fail, so that it can be said
    if (startSocket !== undefined) this.#listener = numbers[1];
    applyAttributes(entry.process, this.plan.spec.linux);
    enterProcess(entry);
    const path = findCommand(entry);
    if (startSocket !== undefined) checkCommand(path);
    return { entry, path };
  }

  #listener: number | undefined;

  /**
   * Leaves the waiting to the trampoline, if the command is to be started later. Returns when there is
   * nothing to wait for, or more to do afterwards than to execute it.
   */
  #startLater(path: string, entry: Entry): void {
    const { spec, reaper } = this.plan;
    const hooks = spec.hooks.startContainer ?? [];
    if (this.#listener === undefined || reaper || hooks.length > 0) return;
    executeLater(path, entry, { socket: this.#channel, listener: this.#listener });
  }

  /** Waits for somebody to start the command, if it is not to be executed at once. */
  #awaitStart(): void {
    if (this.#listener === undefined) return;
    tell(this.#channel, { kind: "ready" });
    if (!awaitSignal(this.#channel, "keep")) exitNow(1); // the container is on no record
    close(this.#channel);
    do this.#channel = accept(this.#listener);
    while (!awaitSignal(this.#channel, "start") && this.#hangUp());
  }

  #hangUp(): boolean {
    close(this.#channel);
    return true;
  }
}
