//! Replies from the card: no reply sees another conversation's keys, whatever came before it.

use std::{fs, path::Path, sync::Arc};

use engine::{Compiled, Finish, Message, Model, ModelOptions, Request};

use crate::common::{
    card::{CONTEXT, compiled, machine, open, options, options_with},
    fail, most, say,
};

fn user(text: &str) -> Vec<Message> {
    vec![Message::user(text)]
}

/// What a device says that nobody has used before.
fn fresh(options: &ModelOptions, messages: &[Message]) -> String {
    let said = say(&mut Model::open(options).unwrap().session(), messages, &most(16));
    assert_eq!(said.reply.cached_tokens, 0);
    said.text
}

#[test]
fn requests_never_see_each_others_cache() {
    machine(requests_never_see_each_others_cache, &[], || {
        let questions = ["Why is the sky blue?", "Name three rivers.", "Why is the sky green?", "Hi"];
        let alone = questions.map(|question| fresh(&options(), &user(question)));
        let model = open();
        let mut one = model.session();
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [0, 0, 2, 2]] {
            // each with a session of its own, then all in one session
            for at in order {
                let said = say(&mut model.session(), &user(questions[at]), &most(16));
                assert_eq!(said.text, alone[at], "{order:?}");
            }
            for at in order {
                assert_eq!(say(&mut one, &user(questions[at]), &most(16)).text, alone[at], "{order:?}");
            }
        }
        // a little longer than what the device holds, which differs in a word at the beginning
        let similar = ["What is the sea called?", "Where is the sea calm today?"];
        let after = [0, 1, 0, 1].map(|at| say(&mut one, &user(similar[at]), &most(1 + 15 * at)).text);
        drop((one, model));
        assert_eq!((&after[1], &after[3]), (&after[3], &fresh(&options(), &user(similar[1]))));
    });
}

/// The compiled model with a template that is the first message's words and nothing else.
fn bare(folder: &Path) -> ModelOptions {
    let Compiled { tokenizer_dir, .. } = compiled();
    for entry in fs::read_dir(tokenizer_dir).unwrap().map(Result::unwrap) {
        if entry.file_name() != "chat_template.jinja" {
            fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
        }
    }
    let path = folder.join("tokenizer_config.json");
    let mut config: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config["chat_template"] = "{{ messages[0].content }}".into();
    fs::write(path, config.to_string()).unwrap();
    ModelOptions { tokenizer: Some(folder.into()), ..options() }
}

#[test]
fn a_prompt_of_one_token_starts_anew() {
    machine(a_prompt_of_one_token_starts_anew, &[], || {
        let folder = tempfile::tempdir().unwrap();
        let options = bare(folder.path());
        let words = ["Hello", "The", "Once", "Hello there, how are you"];
        let alone = words.map(|word| fresh(&options, &user(word)));
        let model = Model::open(&options).unwrap();
        let mut sessions = [model.session(), model.session()];
        for (n, at) in [0, 1, 0, 3, 0, 3, 2, 2, 1, 3, 1, 0].into_iter().enumerate() {
            let said = say(&mut sessions[n % 2], &user(words[at]), &most(16));
            assert_eq!(said.reply.prompt_tokens == 1, at != 3, "{}", said.reply.prompt_tokens);
            assert_eq!(said.text, alone[at], "{n}: {:?}", words[at]);
        }
        assert_ne!(alone[0], alone[1]);
        // one token is held and the next prompt only adds to it
        say(&mut sessions[0], &user(words[0]), &most(0));
        let longer = "Hello there";
        let said = say(&mut sessions[1], &user(longer), &most(16));
        assert_eq!(said.text, fresh_after(model, sessions, &options, longer));
    });
}

/// As [`fresh`], once the device that is in use has been given back.
fn fresh_after<S>(model: Arc<Model>, sessions: S, options: &ModelOptions, text: &str) -> String {
    drop((sessions, model));
    fresh(options, &user(text))
}

/// A second turn, and whether the device kept the first.
fn second_turn(keeps: bool) {
    let model = open();
    let mut session = model.session();
    let first = say(&mut session, &user("Why is the sky blue?"), &most(16));
    let mut conversation = user("Why is the sky blue?");
    conversation.extend([Message::assistant(&first.text), Message::user("And at night?")]);
    // both costs are known after a reply
    let second = say(&mut session, &conversation, &most(16));
    assert_eq!(second.reply.cached_tokens > 0, keeps, "{:?}", second.reply);
    if keeps {
        // all but the last token, which was chosen and never run
        assert_eq!(second.reply.cached_tokens, first.reply.prompt_tokens + 15);
    }
    let again = fresh_after(model, session, &options(), "Why is the sky blue?");
    assert_eq!(again, first.text);
    assert_eq!(fresh(&options(), &conversation), second.text);
}

#[test]
fn a_second_turn_is_appended_where_that_is_cheaper() {
    let slow_prompts = [("AXSIM_TTFT_MS", "3000")];
    machine(a_second_turn_is_appended_where_that_is_cheaper, &slow_prompts, || second_turn(true));
}

#[test]
fn a_second_turn_is_replayed_where_that_is_cheaper() {
    let slow_tokens = [("AXSIM_TOKENS_PER_SECOND", "6")];
    machine(a_second_turn_is_replayed_where_that_is_cheaper, &slow_tokens, || second_turn(false));
}

#[test]
fn the_compiled_context_is_the_end() {
    machine(the_compiled_context_is_the_end, &[], || {
        let model = Model::open(&options_with(|aipu| aipu.context_length = Some(80))).unwrap();
        assert_eq!(model.context_length(), 80);
        let counting = user("Count from 1 to 100.");
        let said = say(&mut model.session(), &counting, &Request::default());
        assert_eq!(said.reply.finish, Finish::Length);
        assert_eq!(said.reply.prompt_tokens + said.reply.completion_tokens, 80);
        let (text, error) = fail(&mut model.session(), &user(&"word ".repeat(100)), &Request::default());
        assert_eq!((text.as_str(), error.code()), ("", "context_length_exceeded"));
        assert!(error.to_string().contains("room 48") && error.hint().is_some(), "{error}");
        // and the next reply is as ever
        assert_eq!(say(&mut model.session(), &counting, &Request::default()).text, said.text);
        drop(model);
        // a card that promises more than the model was compiled for
        let model = Model::open(&options_with(|aipu| aipu.context_length = Some(1 << 20))).unwrap();
        assert_eq!(model.context_length(), CONTEXT);
    });
}

#[test]
fn the_whole_compiled_context_can_be_used() {
    machine(the_whole_compiled_context_can_be_used, &[], || {
        let model = Model::open(&ModelOptions { min_response_space: Some(4), ..options() }).unwrap();
        let long = user(&"Rain fell on the hills and the river rose. ".repeat(98));
        let said = say(&mut model.session(), &long, &Request::default());
        assert!(said.reply.prompt_tokens > 1000, "{}", said.reply.prompt_tokens);
        assert_eq!(said.reply.finish, Finish::Length);
        assert_eq!(said.reply.prompt_tokens + said.reply.completion_tokens, CONTEXT);
    });
}
