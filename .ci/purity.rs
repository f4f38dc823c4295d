//! Looks into a WebAssembly module, for `.ci/purity`.
//!
//! `purity names FILE WORD`: the symbols of the module's functions that contain the word.
//! `purity check FILE WORD...`: fails if the module imports anything or contains what stands for the
//! world outside; every word must be in some function's name, so that an empty module proves nothing.

use std::env;
use std::fs;
use std::process::ExitCode;

/// Parts of symbols, in either mangling: the standard library's random keys and the crate for
/// entropy. On this target both exist without an import.
const CHANCE: [&str; 2] = ["hashmap_random_keys", "9getrandom"];

/// Here the standard library's clocks, threads, files and sockets are stubs that import nothing;
/// each fails with a text that ends so.
const STUB: &[u8] = b"on this platform";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments[..] {
        ["names", file, word] => read(file).map(|module| {
            module
                .names
                .iter()
                .filter(|name| name.contains(word))
                .for_each(|name| println!("{name}"));
        }),
        ["check", file, ref words @ ..] => read(file).and_then(|module| check(&module, words)),
        _ => Err("usage: purity names FILE WORD | purity check FILE WORD...".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Default)]
struct Module {
    imports: Vec<String>,
    names: Vec<String>,
    data: Vec<u8>,
}

fn check(module: &Module, words: &[&str]) -> Result<(), String> {
    if let [_, ..] = module.imports[..] {
        return Err(format!("it imports {}", module.imports.join(", ")));
    }
    let mut names = module.names.iter();
    if let Some(name) = names.find(|name| CHANCE.iter().any(|part| name.contains(part))) {
        return Err(format!("it contains {name}"));
    }
    if let Some(at) = module.data.windows(STUB.len()).position(|text| text == STUB) {
        let text = &module.data[at.saturating_sub(24)..at + STUB.len()];
        return Err(format!("it contains a stub: \"{}\"", text.escape_ascii()));
    }
    for word in words {
        if !module.names.iter().any(|name| name.contains(word)) {
            return Err(format!("it has no function of {word}, so it proves nothing"));
        }
    }
    println!("{} functions, no import", module.names.len());
    Ok(())
}

fn read(file: &str) -> Result<Module, String> {
    let bytes = fs::read(file).map_err(|error| format!("{file}: {error}"))?;
    parse(&bytes).ok_or_else(|| format!("{file}: no WebAssembly module that can be read"))
}

fn parse(bytes: &[u8]) -> Option<Module> {
    let mut module = Module::default();
    let mut rest = Reader(bytes.strip_prefix(b"\0asm\x01\0\0\0")?);
    while !rest.0.is_empty() {
        let id = rest.byte()?;
        let mut section = Reader(rest.block()?);
        match id {
            0 if section.block()? == b"name" => module.names = names(section)?,
            2 => module.imports = imports(section)?,
            11 => module.data = section.0.to_vec(),
            _ => {}
        }
    }
    Some(module)
}

/// The import section: module, name and a description, of which only a function's is walked over
/// (LLVM imports nothing else unasked). Anything else ends the list, which is not empty then.
fn imports(mut section: Reader<'_>) -> Option<Vec<String>> {
    let mut imports = Vec::new();
    for _ in 0..section.number()? {
        let (module, name) = (section.text()?, section.text()?);
        imports.push(format!("{module}.{name}"));
        if section.byte()? != 0 {
            break;
        }
        section.number()?;
    }
    Some(imports)
}

/// The subsection 1 of the name section: the functions' names.
fn names(mut section: Reader<'_>) -> Option<Vec<String>> {
    while !section.0.is_empty() {
        let id = section.byte()?;
        let mut subsection = Reader(section.block()?);
        if id == 1 {
            return (0..subsection.number()?)
                .map(|_| {
                    subsection.number()?;
                    subsection.text()
                })
                .collect();
        }
    }
    Some(Vec::new())
}

/// Bytes still to be read, in the primitives of the binary format.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// LEB128.
    fn number(&mut self) -> Option<usize> {
        let mut number = 0;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            number |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    /// Bytes with their number before them.
    fn block(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        let (block, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(block)
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.block()?.to_vec()).ok()
    }
}
