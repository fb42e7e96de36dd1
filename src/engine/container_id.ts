/** Container ids and generated names. */

/** 64 hexadecimal digits, never all decimal in the 12 that are shown: those would read as a number. */
export function newContainerId(): string {
  for (;;) {
    const id = crypto.getRandomValues(new Uint8Array(32)).toHex();
    if (!/^\d{12}/.test(id)) return id;
  }
}

/** Whether a text has the form of a whole id. */
export const isContainerId = (text: string): boolean => /^[0-9a-f]{64}$/.test(text);

/** The beginning of an id, as it is shown. */
export const shortId = (id: string): string => id.slice(0, 12);

const ADJECTIVES =
  "agile amber bold brave breezy bright brisk calm candid careful cheerful clever cosmic crisp curious daring dazzling deft eager earnest elegant fair fearless fervent festive fluent focused friendly gallant gentle gifted golden graceful happy hardy honest hopeful humble jolly jovial keen kind lively loyal lucid lucky mellow merry mighty modest nimble noble patient peaceful plucky polite proud quick quiet quirky radiant ready serene sharp sincere sleek smart snappy sober spry stoic sturdy sunny swift tender thrifty tidy upbeat vibrant vigilant vivid warm wise witty zealous zen".split(
    " ",
  );

const SURNAMES =
  "abel archimedes aryabhata babbage banach bardeen bartik bell bohr booth boyd brahmagupta brattain carson cerf chandrasekhar clarke cohen cori cray curie darwin davinci dijkstra easley einstein elion engelbart euclid euler faraday feistel fermat fermi feynman franklin galileo gauss germain goldberg goodall gould hamilton hawking heisenberg hellman hermann hertz hodgkin hofstadter hopper hypatia jackson johnson joliot kalam kapitsa keller kepler kilby kirch knuth kowalevski lamarr lamport leakey leavitt liskov lovelace lumiere maxwell mayer mccarthy mcclintock meitner mendel merkle mirzakhani moore morse napier newton nightingale noether northcutt pare pascal pasteur payne perlman pike poincare ptolemy raman ramanujan ride ritchie robinson rosalind rubin saha sammet shannon shaw shirley shockley sinoussi snyder spence stallman stonebraker swartz swirles tesla thompson torvalds turing varahamihira villani visvesvaraya volhard wescoff wilbur wiles williams wilson wing wozniak wright yalow yonath".split(
    " ",
  );

/** adjective_surname. The caller sees to it that it is free. */
export function generateName(): string {
  const numbers = crypto.getRandomValues(new Uint32Array(2));
  const [a, b] = [numbers[0] as number, numbers[1] as number];
  return `${ADJECTIVES[a % ADJECTIVES.length]}_${SURNAMES[b % SURNAMES.length]}`;
}
