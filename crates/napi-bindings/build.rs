//! Sets the linker flags that a Node addon needs.

fn main() {
    napi_build::setup();
    // Node unloads an addon with the last worker that used it; our threads would go on in code that is gone
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
