// Prints the trace hash of each of these seeds: node wasm.mjs MODULE FROM TO
import { readFileSync } from "node:fs";

const [path, from, to] = process.argv.slice(2);
const module = new WebAssembly.Module(readFileSync(path));
const imports = WebAssembly.Module.imports(module);
if (imports.length !== 0) throw new Error(`the module imports ${JSON.stringify(imports)}`);
const { trace_hash } = new WebAssembly.Instance(module).exports;
for (let seed = BigInt(from); seed < BigInt(to); seed++) {
  const hash = BigInt.asUintN(64, trace_hash(seed));
  console.log(`${seed} ${hash.toString(16).padStart(16, "0")}`);
}
