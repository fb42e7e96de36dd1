/** What a network is, and reading that again: somebody may have damaged it. */

/** Addresses of a network. All as texts. */
export interface Subnet {
  /** `172.17.0.0/16` */
  readonly subnet: string;
  readonly gateway: string;
  /** where containers get theirs; all of the subnet when absent */
  readonly range?: string;
  /** addresses that somebody else has, by a name */
  readonly auxiliary?: Readonly<Record<string, string>>;
}

/** How a network connects its containers. */
export const DRIVERS = ["bridge", "macvlan", "ipvlan"] as const;
type Driver = (typeof DRIVERS)[number];
/** Those that have a device of the host as parent. */
export type ParentDriver = Exclude<Driver, "bridge">;

/** A network of containers. */
export interface Network {
  readonly name: string;
  /** 64 hexadecimal digits */
  readonly id: string;
  readonly driver: Driver;
  /** RFC 3339 */
  readonly created: string;
  /** the name of its bridge, or of its parent */
  readonly link: string;
  readonly subnets: readonly Subnet[];
  /** nothing outside can be reached */
  readonly internal: boolean;
  readonly ipv6: boolean;
  readonly options: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
}

/** The network of a container that names none. */
export const DEFAULT_NETWORK = "bridge";

/** Whether containers find one another by name: not on the default network, as with Docker. */
export const hasNames = ({ name }: Pick<Network, "name">): boolean => name !== DEFAULT_NETWORK;

const isString = (value: unknown): value is string => typeof value === "string";
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isTexts = (value: unknown): boolean =>
  isObject(value) && Object.values(value).every(isString);
const isSubnet = (value: unknown): boolean =>
  isObject(value) &&
  isString(value["subnet"]) &&
  isString(value["gateway"]) &&
  (value["range"] === undefined || isString(value["range"])) &&
  (value["auxiliary"] === undefined || isTexts(value["auxiliary"]));

const FIELDS: Readonly<Record<string, (value: unknown) => boolean>> = {
  id: (value) => isString(value) && /^[0-9a-f]{64}$/.test(value),
  driver: (value) => DRIVERS.some((driver) => driver === value),
  created: isString,
  link: (value) => isString(value) && /^[^/\s]{1,15}$/.test(value),
  subnets: (value) => Array.isArray(value) && value.length > 0 && value.every(isSubnet),
  internal: (value) => typeof value === "boolean",
  ipv6: (value) => typeof value === "boolean",
  options: isTexts,
  labels: isTexts,
};

/** Checks what was read of a network. @throws {TypeError} says what is wrong */
export function parseNetwork(value: unknown, name: string): Network {
  const whole: unknown = value;
  if (!isObject(value)) throw new TypeError("it is no object");
  if (value["name"] !== name) throw new TypeError('it has a bad field "name"');
  for (const [field, check] of Object.entries(FIELDS)) {
    if (!check(value[field])) throw new TypeError(`it has a bad field "${field}"`);
  }
  return whole as Network;
}

/** A switch of Docker's among a network's `--opt`. */
export function optionIsOn(
  { options }: Pick<Network, "options">,
  name: string,
  usual: boolean,
): boolean {
  const value = options[name];
  return value === undefined ? usual : /^(1|t|true)$/i.test(value);
}
