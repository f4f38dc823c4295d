// Prints the trace hash of each of so many seeds: node wasm.mjs MODULE COUNT
import { readFileSync } from "node:fs";

const [path, count] = process.argv.slice(2);
const module = new WebAssembly.Module(readFileSync(path));
const imports = WebAssembly.Module.imports(module);
if (imports.length !== 0) throw new Error(`the module imports ${JSON.stringify(imports)}`);
const { trace_hash } = new WebAssembly.Instance(module).exports;
for (let seed = 0n; seed < BigInt(count); seed++) {
  const hash = BigInt.asUintN(64, trace_hash(seed));
  console.log(`${seed} ${hash.toString(16).padStart(16, "0")}`);
}
