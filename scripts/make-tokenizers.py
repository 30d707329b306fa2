#!/usr/bin/env python3
"""Tiny tokenizers built as each family builds its own, with what transformers makes of texts and conversations.

    /tmp/venv/bin/pip install torch==2.8.0 transformers==5.24.0 gguf==0.19.0
    /tmp/venv/bin/python scripts/make-tokenizers.py TEMPLATES crates/test-support/tokenizers

TEMPLATES is `models/templates` of a llama.cpp checkout: the chat templates that the families publish. The vocabularies
are trained here (a few hundred pieces); splitting, normalising, special tokens and templates are the families' own.
Writes NAME/{tokenizer.json,tokenizer_config.json}, NAME.gguf (the same vocabulary) and tokenizers.json.
"""
import datetime, json, pathlib, shutil, sys

import gguf, transformers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers.utils import chat_template_utils

LLAMA_3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN_2 = LLAMA_3.replace(r"\p{N}{1,3}", r"\p{N}")
TEKKEN = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
MISTRAL = "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token}}{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}"
SMOLLM_2 = "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"

CORPUS = [
    "The quick brown fox jumps over the lazy dog. It's 12345 o'clock, they're late; we'll see what I'd do.",
    "Hello world! How are you today? I am fine, thank you very much. What is the capital of France? Paris.",
    "def main(argc, argv):\n    for i in range(10):\n        print(f'{i:02d}')\n\treturn 0\n\n\n// done",
    "Die Straße nach Köln ist länger als 100 km. Ça va bien, où êtes-vous? El niño comió piñas.",
    "你好,世界!今天天气怎么样? こんにちは世界。 Привет, мир! Καλημέρα κόσμε 🙂🚀",
    "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<html><body>CamelCaseWord</body></html>",
]
TEXTS = [
    "", " ", "Hello", " Hello", "  Hello  world ", "Hello\n\nworld\n", "\t\ttabs and   spaces   \n \n  x",
    "it's THEY'RE we'LL I'd", "1 12 123 1234 12345 3.14159 1,000,000", "x=1;y[2]={'a':3}//c", "naïve café Straße",
    "e\u0301 vs \u00e9", "你好世界", "🙂🚀👨‍👩‍👧", "\r\n\r\n", "CamelCaseHTTPServer2Go", "a\u00a0b\u2003c", "\u0000\u0001\ufffd",
    "http://x.y/z?q=1&r=2#s", "▁ already", "ÀÉÎõü ǅ ʰ", "...!!!???---", "'S 'T 'm", "end with space ", "\n",
]
CHATS = [
    [("user", "Hello there")],
    [("user", " What is 2+2? "), ("assistant", "4"), ("user", "And 12 * 12?\n\nShow your work.")],
    [("system", "You are terse."), ("user", "你好"), ("assistant", "Hi!\n"), ("user", "naïve café 🙂")],
]
NOW = datetime.datetime(2025, 3, 14, 15, 9, 26)


class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return NOW


chat_template_utils.datetime = Clock


def special(text, **flags):
    return AddedToken(text, special=True, normalized=False, **flags)


def byte_level(words, specials, size=384, normalizer=None, ignore_merges=False):
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = words
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=size, show_progress=False, special_tokens=[],
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(CORPUS * 3, trainer)
    tokenizer.add_special_tokens([token for token in specials if token.special])
    tokenizer.add_tokens([token for token in specials if not token.special])
    return tokenizer


def regex(pattern):
    return pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])


def sentence_piece(specials, metaspace, size=420):
    """As SentencePiece lists a BPE vocabulary, and as transformers converts it: every split of a piece is a merge."""
    learned = Tokenizer(models.BPE())
    learned.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    learned.train_from_iterator(CORPUS * 3, trainers.BpeTrainer(vocab_size=size, show_progress=False))
    ranked = [piece for piece, _ in sorted(learned.get_vocab().items(), key=lambda item: item[1])]
    single, longer = [p for p in ranked if len(p) == 1], [p for p in ranked if len(p) > 1]
    pieces = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)] + longer + single
    scores = [0.0] * 259 + [-float(n) for n in range(len(longer) + len(single))]
    vocab = {piece: at for at, piece in enumerate(pieces)}
    merges = []
    for piece in longer:
        splits = [(piece[:at], piece[at:]) for at in range(1, len(piece))]
        splits = [pair for pair in splits if pair[0] in vocab and pair[1] in vocab]
        merges += sorted(splits, key=lambda pair: (vocab[pair[0]], vocab[pair[1]]))
    tokenizer = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    if metaspace:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    else:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([
        decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0),
    ])
    begin = [special(t) for t in ("<unk>", "<s>", "</s>") if t not in [token.content for token in specials]]
    tokenizer.add_special_tokens(begin + specials)
    return tokenizer, scores


def families(templates):
    read = lambda name: (templates / f"{name}.jinja").read_text()
    digits = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                      pre_tokenizers.ByteLevel(add_prefix_space=False)])
    chatml = [special("<|endoftext|>"), special("<|im_start|>"), special("<|im_end|>")]
    think = [AddedToken("<think>", special=False, normalized=False), AddedToken("</think>", special=False, normalized=False)]
    llama = [special(t) for t in ("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")]
    nfc = normalizers.NFC()
    yield "llama3", byte_level(regex(LLAMA_3), llama, ignore_merges=True), None, "llama-bpe", \
        dict(bos_token="<|begin_of_text|>", eos_token="<|eot_id|>"), read("meta-llama-Llama-3.2-3B-Instruct"), ["<|begin_of_text|>"]
    yield "smollm2", byte_level(digits, chatml), None, "smollm", \
        dict(bos_token="<|im_start|>", eos_token="<|im_end|>", unk_token="<|endoftext|>"), SMOLLM_2, []
    yield "qwen2", byte_level(regex(QWEN_2), chatml, normalizer=nfc), None, "qwen2", \
        dict(eos_token="<|im_end|>"), read("Qwen-Qwen2.5-7B-Instruct"), []
    yield "qwen3", byte_level(regex(QWEN_2), chatml + think, normalizer=nfc), None, "qwen2", \
        dict(eos_token="<|im_end|>"), read("Qwen-Qwen3-0.6B"), []
    yield "gpt2", byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False), chatml), None, "gpt-2", \
        dict(bos_token="<|endoftext|>", eos_token="<|im_end|>"), SMOLLM_2, []
    yield "tekken", byte_level(regex(TEKKEN), [special(t) for t in ("<unk>", "<s>", "</s>", "[INST]", "[/INST]")], ignore_merges=True), None, "tekken", \
        dict(bos_token="<s>", eos_token="</s>"), read("mistralai-Mistral-Nemo-Instruct-2407"), ["<s>"]
    tokenizer, scores = sentence_piece([special("[INST]"), special("[/INST]")], metaspace=False)
    yield "mistral", tokenizer, scores, None, dict(bos_token="<s>", eos_token="</s>", unk_token="<unk>"), MISTRAL, ["<s>"]
    marks = [special("</s>", rstrip=True), special("<|endoftext|>")]
    marks += [special(t, rstrip=True) for t in ("<|assistant|>", "<|system|>", "<|end|>", "<|user|>")]
    tokenizer, scores = sentence_piece(marks, metaspace=False)
    yield "phi3", tokenizer, scores, None, dict(bos_token="<s>", eos_token="<|endoftext|>", unk_token="<unk>"), read("microsoft-Phi-3.5-mini-instruct"), []
    tokenizer, scores = sentence_piece([special("[INST]"), special("[/INST]")], metaspace=True)
    yield "metaspace", tokenizer, None, None, dict(bos_token="<s>", eos_token="</s>", unk_token="<unk>"), MISTRAL, ["<s>"]


def write_gguf(path, tokenizer, scores, pre, names, template, adds_bos):
    # of Phi-3's marks the file cannot say that they swallow white space: readers know it by the architecture
    writer = gguf.GGUFWriter(path, "phi3" if path.stem == "phi3" else "llama")
    vocab = tokenizer.get_vocab()
    pieces = [piece for piece, _ in sorted(vocab.items(), key=lambda item: item[1])]
    added = tokenizer.get_added_tokens_decoder()
    kinds = []
    for at, piece in enumerate(pieces):
        if at in added:
            kind = gguf.TokenType.CONTROL if added[at].special else gguf.TokenType.USER_DEFINED
            kind = gguf.TokenType.UNKNOWN if piece == "<unk>" and scores else kind
        else:
            byte = scores is not None and 3 <= at < 259
            kind = gguf.TokenType.BYTE if byte else gguf.TokenType.NORMAL
        kinds.append(kind)
    writer.add_token_list(pieces)
    writer.add_token_types(kinds)
    if scores is None:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(pre)
        merges = json.loads(tokenizer.to_str())["model"]["merges"]
        writer.add_token_merges([" ".join(pair) for pair in merges])
    else:
        writer.add_tokenizer_model("llama")
        writer.add_token_scores(scores + [0.0] * (len(pieces) - len(scores)))
        writer.add_unk_token_id(0)
    if "bos_token" in names:
        writer.add_bos_token_id(vocab[names["bos_token"]])
    writer.add_eos_token_id(vocab[names["eos_token"]])
    writer.add_add_bos_token(bool(adds_bos))
    writer.add_chat_template(template)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main(templates, out):
    reference = {}
    for name, tokenizer, scores, pre, names, template, begin in families(templates):
        if begin:
            token = begin[0]
            tokenizer.post_processor = processors.TemplateProcessing(
                single=f"{token} $A", pair=f"{token} $A {token} $B", special_tokens=[(token, tokenizer.token_to_id(token))])
        folder = out / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
        config = dict(tokenizer_class="PreTrainedTokenizerFast", clean_up_tokenization_spaces=False,
                      add_bos_token=bool(begin), chat_template=template, **names)
        (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1, ensure_ascii=False) + "\n")
        fast = transformers.PreTrainedTokenizerFast.from_pretrained(folder)
        entry = dict(texts=[], chats=[])
        for text in TEXTS:
            entry["texts"].append(dict(text=text, ids=fast.encode(text, add_special_tokens=False)))
        for chat in CHATS:
            messages = [dict(role=role, content=content) for role, content in chat]
            try:
                rendered = fast.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            except Exception as error:
                entry["chats"].append(dict(messages=messages, error=str(error)))
                continue
            ids = fast.encode(rendered, add_special_tokens=False)
            entry["chats"].append(dict(messages=messages, rendered=rendered, ids=ids))
        reference[name] = entry
        gguf_of = pre is not None or scores is not None
        if gguf_of:
            write_gguf(out / f"{name}.gguf", tokenizer, scores, pre, names, template, begin)
        print(name, fast.__class__.__name__, len(tokenizer.get_vocab()), [c.get("error") for c in entry["chats"]])
    (out / "tokenizers.json").write_text(json.dumps(reference, ensure_ascii=False, indent=1) + "\n")


main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
