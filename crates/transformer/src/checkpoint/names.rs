//! Hugging Face's names of the tensors that GGUF names.

/// Names outside the blocks.
const GLOBAL: [(&str, &str); 3] = [
    ("token_embd.weight", "model.embed_tokens.weight"),
    ("output_norm.weight", "model.norm.weight"),
    ("output.weight", "lm_head.weight"),
];

/// Parts of a block; where there are two, files have the one or the other.
const PARTS: [(&str, &[&str]); 14] = [
    ("attn_norm", &["input_layernorm"]),
    ("attn_q", &["self_attn.q_proj"]),
    ("attn_k", &["self_attn.k_proj"]),
    ("attn_v", &["self_attn.v_proj"]),
    ("attn_qkv", &["self_attn.qkv_proj"]),
    ("attn_output", &["self_attn.o_proj"]),
    ("attn_q_norm", &["self_attn.q_norm"]),
    ("attn_k_norm", &["self_attn.k_norm"]),
    ("ffn_norm", &["post_attention_layernorm"]),
    ("ffn_gate", &["mlp.gate_proj"]),
    // fused with the gate where there is no gate of its own, as in GGUF
    ("ffn_up", &["mlp.up_proj", "mlp.gate_up_proj"]),
    ("ffn_down", &["mlp.down_proj"]),
    ("ffn_gate_inp", &["mlp.gate"]),
    ("rope_freqs", &[]),
];

/// The names that a folder may give to what GGUF calls `name`; none for what folders do not have.
pub(super) fn of_folder(name: &str) -> Vec<String> {
    if let Some((_, own)) = GLOBAL.iter().find(|(gguf, _)| *gguf == name) {
        return vec![(*own).into()];
    }
    let block = || {
        let (layer, rest) = name.strip_prefix("blk.")?.split_once('.')?;
        let (part, kind) = rest.split_once('.')?;
        let (_, owns) = PARTS.iter().find(|(gguf, _)| *gguf == part)?;
        Some(owns.iter().map(|own| format!("model.layers.{layer}.{own}.{kind}")).collect())
    };
    block().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_blocks_keep_the_layer_and_the_kind() {
        assert_eq!(of_folder("blk.12.attn_q.bias"), ["model.layers.12.self_attn.q_proj.bias"]);
        assert_eq!(of_folder("blk.0.ffn_up.weight").len(), 2);
        assert_eq!(of_folder("output.weight"), ["lm_head.weight"]);
        assert!(of_folder("rope_freqs.weight").is_empty() && of_folder("blk.x").is_empty());
    }
}
