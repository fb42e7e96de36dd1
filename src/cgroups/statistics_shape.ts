/** The shape of `runc events --stats` (runc: types/events.go), which is what engines read. */

/** A count; those of the kernel's that are above 2^53, such as "no limit", are exact. */
export type Count = number | bigint;

/** Memory of one kind, in bytes. */
export interface MemoryEntry {
  readonly limit: Count;
  readonly usage?: Count;
  readonly max?: Count;
  readonly failcnt: Count;
}

/** A figure of one block device. */
export interface BlkioEntry {
  readonly major?: Count;
  readonly minor?: Count;
  readonly op?: string;
  readonly value?: Count;
}

/** `data` of an event of type `stats`. */
export interface Statistics {
  readonly cpu: {
    /** nanoseconds */
    readonly usage: {
      readonly total?: Count;
      readonly percpu?: readonly Count[];
      readonly percpu_kernel?: readonly Count[];
      readonly percpu_user?: readonly Count[];
      readonly kernel: Count;
      readonly user: Count;
    };
    readonly throttling: {
      readonly periods?: Count;
      readonly throttledPeriods?: Count;
      /** nanoseconds */
      readonly throttledTime?: Count;
    };
  };
  readonly cpuset: Readonly<Record<string, Count | readonly number[]>>;
  readonly memory: {
    readonly cache?: Count;
    readonly usage: MemoryEntry;
    readonly swap: MemoryEntry;
    readonly kernel: MemoryEntry;
    readonly kernelTCP: MemoryEntry;
    readonly raw?: Readonly<Record<string, Count>>;
  };
  readonly pids: { readonly current?: Count; readonly limit?: Count };
  readonly blkio: Readonly<Record<string, readonly BlkioEntry[]>>;
  readonly hugetlb: Readonly<
    Record<string, { readonly usage?: Count; readonly max?: Count; readonly failcnt: Count }>
  >;
  readonly intel_rdt: Readonly<Record<string, never>>;
  readonly network_interfaces: null;
}
