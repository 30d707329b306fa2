//! Speed of candle's passes of one GGUF file: `candle-speed FILE PROMPT GENERATE DEPTH`, threads by RAYON_NUM_THREADS.
//! Prints tokens a second of the prompt pass (GENERATE 0), or of decoding at a depth (PROMPT 0).

use std::{env, error::Error, fs::File, time::Instant};

use candle_core::{Device, Tensor, quantized::gguf_file::Content};
use candle_transformers::models::quantized_llama::ModelWeights;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [path, numbers @ ..] = &args[..] else { return Err("a file is wanted".into()) };
    let numbers = numbers.iter().map(|number| number.parse()).collect::<Result<Vec<usize>, _>>()?;
    let [prompt, generate, depth] = numbers[..] else { return Err("three numbers are wanted".into()) };
    let mut file = File::open(path)?;
    let content = Content::read(&mut file)?;
    let mut model = ModelWeights::from_gguf(content, &mut file, &Device::Cpu)?;
    let mut at = 0;
    let mut run = |count: usize| -> candle_core::Result<f64> {
        let ids: Vec<u32> = (0..count as u32).map(|n| (at as u32 + n) * 7919 % 32_000).collect();
        let input = Tensor::new(ids, &Device::Cpu)?.unsqueeze(0)?;
        let started = Instant::now();
        // the values, so that nothing is left to be computed
        model.forward(&input, at)?.flatten_all()?.to_vec1::<f32>()?;
        at += count;
        Ok(started.elapsed().as_secs_f64())
    };
    if prompt > 0 {
        println!("{}", prompt as f64 / run(prompt)?);
        return Ok(());
    }
    if depth > 0 {
        run(depth)?;
    }
    let seconds = (0..generate).map(|_| run(1)).sum::<candle_core::Result<f64>>()?;
    println!("{}", generate as f64 / seconds);
    Ok(())
}
