/** Files that Bun embeds in the executable; the value is the path that Bun knows them by. */
declare module "*.tar.zst" {
  const path: string;
  export default path;
}
