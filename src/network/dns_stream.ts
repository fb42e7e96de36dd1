/** DNS messages in a stream (RFC 1035, 4.2.2). */

/** Both, one after the other. */
export function joined(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(a.length + b.length);
  whole.set(a);
  whole.set(b, a.length);
  return whole;
}

/** In a stream a message comes behind its length (RFC 1035, 4.2.2). */
export function framed(message: Uint8Array): Uint8Array {
  return joined(Uint8Array.of(message.length >> 8, message.length & 0xff), message);
}

/** The first message of a stream. @returns undefined when it has not come as a whole */
export function wholeMessage(stream: Uint8Array): Uint8Array | undefined {
  if (stream.length < 2) return undefined;
  const length = ((stream[0] as number) << 8) | (stream[1] as number);
  return stream.length < length + 2 ? undefined : stream.slice(2, length + 2);
}
