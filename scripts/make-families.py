#!/usr/bin/env python3
"""Tiny random models of each family, with what Hugging Face transformers computes from them.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install torch==2.8.0 transformers==5.24.0 gguf==0.19.0
    /tmp/venv/bin/python scripts/make-families.py crates/test-support/families

Writes FAMILY/config.json and FAMILY/model.safetensors (bf16), FAMILY.gguf (the same weights), and families.json with
logits of some positions of a prompt (32-bit floats on the rounded weights), 32 greedy ids, and the states before the
head: their mean, the first and the last one.
"""
import json, pathlib, sys

import gguf, numpy, torch, transformers

HIDDEN, LAYERS, HEADS, KV_HEADS, HEAD_DIM, FF, VOCAB, CONTEXT = 64, 2, 4, 2, 16, 96, 400, 128
COMMON = dict(
    hidden_size=HIDDEN, num_hidden_layers=LAYERS, num_attention_heads=HEADS, num_key_value_heads=KV_HEADS,
    intermediate_size=FF, vocab_size=VOCAB, max_position_embeddings=CONTEXT, bos_token_id=1, eos_token_id=2,
    pad_token_id=None,
)
LLAMA_3 = dict(rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
               original_max_position_embeddings=32)
LONG = dict(rope_type="longrope", rope_theta=10000.0, original_max_position_embeddings=24,
            short_factor=[1.0 + 0.05 * i for i in range(6)], long_factor=[1.5 + 0.5 * i for i in range(6)])

# family, class, settings, GGUF architecture, seed
FAMILIES = [
    ("smollm2", "Llama", dict(tie_word_embeddings=True, rms_norm_eps=1e-5), "llama", 1),
    ("llama3", "Llama", dict(tie_word_embeddings=True, rms_norm_eps=1e-5, rope_parameters=LLAMA_3), "llama", 2),
    # Velvet is a Mistral with a head size of its own
    ("mistral", "Mistral", dict(tie_word_embeddings=False, sliding_window=9, head_dim=24, rms_norm_eps=1e-5), "llama", 3),
    ("velvet", "Mistral", dict(tie_word_embeddings=False, sliding_window=None, head_dim=HEAD_DIM), "llama", 4),
    ("phi3", "Phi3", dict(tie_word_embeddings=False, sliding_window=11, rms_norm_eps=1e-5), "phi3", 5),
    ("phi3-long", "Phi3", dict(tie_word_embeddings=True, sliding_window=None, partial_rotary_factor=0.75,
                               original_max_position_embeddings=24, rope_parameters=LONG), "phi3", 6),
    ("qwen2", "Qwen2", dict(tie_word_embeddings=True, use_sliding_window=False), "qwen2", 7),
    ("qwen3", "Qwen3", dict(tie_word_embeddings=False, head_dim=24, use_sliding_window=False), "qwen3", 8),
]


def model_of(kind, settings, seed):
    torch.manual_seed(seed)
    config = getattr(transformers, f"{kind}Config")(**{**COMMON, **settings})
    config._attn_implementation = "eager"
    model = getattr(transformers, f"{kind}ForCausalLM")(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            # what is added to the residual stream is smaller, as models are initialised, and so are the scores of
            # attention: a net of large random weights amplifies the rounding of the KV cache to 16 bits far more than
            # a trained one
            small = ("o_proj.weight", "down_proj.weight", "q_proj.weight", "k_proj.weight", "qkv_proj.weight")
            size = 0.1 if name.endswith(small) else 0.2
            noise = torch.randn(weight.shape) * size
            weight.copy_((noise + (1.0 if weight.dim() == 1 and not name.endswith("bias") else 0.0)).bfloat16().float())
    return model


def greedy(model, prompt, count):
    """Without a cache: each step from the start, which is also what long-rope's switch amounts to."""
    ids, margins = list(prompt), []
    for _ in range(count):
        with torch.no_grad():
            last = model(torch.tensor([ids]), use_cache=False).logits[0, -1]
        top = torch.topk(last, 2)
        margins.append(float(top.values[0] - top.values[1]))
        ids.append(int(top.indices[0]))
    return ids[len(prompt):], margins


def neighbours(weight, heads):
    """llama.cpp's order for the llama architecture: rotated pairs lie side by side."""
    rows = weight.shape[0]
    return weight.reshape(heads, 2, rows // heads // 2, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


NAMES = {
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.qkv_proj": "attn_qkv", "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.gate_up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}


def gguf_name(name):
    stem, kind = name.rsplit(".", 1)
    if stem.startswith("model.layers."):
        _, _, layer, part = stem.split(".", 3)
        return f"blk.{layer}.{NAMES[part]}.{kind}"
    return f"{NAMES[stem]}.{kind}"


def write_gguf(path, model, architecture):
    config = model.config
    head_dim = getattr(config, "head_dim", None) or HEAD_DIM
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(LAYERS)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(FF)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(VOCAB)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    rotated = int(head_dim * config.rope_parameters.get("partial_rotary_factor", 1.0))
    writer.add_rope_dimension_count(rotated)
    if head_dim != HIDDEN // HEADS:
        writer.add_key_length(head_dim)
        writer.add_value_length(head_dim)
    if getattr(config, "sliding_window", None):
        writer.add_sliding_window(config.sliding_window)
    rope = config.rope_parameters
    if rope["rope_type"] == "llama3":
        inv, _ = transformers.modeling_rope_utils.ROPE_INIT_FUNCTIONS["llama3"](config, "cpu")
        plain = 1.0 / rope["rope_theta"] ** (torch.arange(0, rotated, 2).float() / rotated)
        writer.add_tensor("rope_freqs.weight", (plain / inv).numpy().astype(numpy.float32))
    if rope["rope_type"] == "longrope":
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
        writer.add_tensor("rope_factors_short.weight", numpy.array(rope["short_factor"], numpy.float32))
        writer.add_tensor("rope_factors_long.weight", numpy.array(rope["long_factor"], numpy.float32))
    for name, weight in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        values = weight.float().numpy()
        if architecture == "llama" and ".q_proj." in name:
            values = neighbours(values, HEADS)
        if architecture == "llama" and ".k_proj." in name:
            values = neighbours(values, KV_HEADS)
        if values.ndim == 1:
            writer.add_tensor(gguf_name(name), values.astype(numpy.float32))
        else:
            rounded = gguf.quants.quantize(numpy.ascontiguousarray(values), gguf.GGMLQuantizationType.BF16)
            writer.add_tensor(gguf_name(name), rounded, raw_dtype=gguf.GGMLQuantizationType.BF16)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def numbers(vector):
    return [float(f"{value:.7g}") for value in vector.tolist()]


def main(out):
    reference = {}
    for family, kind, settings, architecture, seed in FAMILIES:
        # a seed whose choices are clear: another order of additions must not change them
        for seed in range(seed, seed + 1000, 10):
            model = model_of(kind, settings, seed)
            generator = torch.Generator().manual_seed(seed)
            prompt = torch.randint(3, VOCAB, (28,), generator=generator).tolist()
            ids, margins = greedy(model, prompt, 32)
            if min(margins) > 0.02 and len(set(ids)) > 12:
                break
        else:
            raise SystemExit(f"{family}: no seed gives clear choices")
        with torch.no_grad():
            logits = model(torch.tensor([prompt]), use_cache=False).logits[0]
            states = model.model(torch.tensor([prompt]), use_cache=False).last_hidden_state[0]
        entry = dict(prompt=prompt, greedy=ids, least_margin=min(margins),
                     logits=[numbers(logits[at]) for at in (0, 5, 27)], positions=[0, 5, 27],
                     mean_state=numbers(states.mean(0)), first_state=numbers(states[0]), last_state=numbers(states[-1]))
        if kind == "Phi3" and "rope_parameters" in settings:
            # within the first context, where the short factors hold
            with torch.no_grad():
                short = model(torch.tensor([prompt[:12]]), use_cache=False).logits[0, -1]
            entry["short"] = dict(len=12, logits=numbers(short))
        reference[family] = entry
        folder = out / family
        model.bfloat16().save_pretrained(folder)
        (folder / "generation_config.json").unlink(missing_ok=True)
        write_gguf(out / f"{family}.gguf", model.float(), architecture)
        print(family, "seed", seed, "least margin", round(min(margins), 3), "distinct", len(set(ids)))
    (out / "families.json").write_text(json.dumps(reference, separators=(",", ":")) + "\n")


main(pathlib.Path(sys.argv[1]))
