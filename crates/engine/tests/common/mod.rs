//! What the tests of sessions share: one way to reply and to check what every reply keeps to.
#![allow(dead_code)] // each test program uses its part
#![allow(clippy::print_stdout, clippy::unwrap_used)] // a test's ways to tell and to fail

pub mod card;

use std::ops::ControlFlow;

use engine::{Cancel, Chunk, Error, Finish, Message, Reply, Request, Role, Session, TextStream, Tokenizer};

/// One reply with all that was handed on.
#[derive(Debug)]
pub struct Said {
    pub text: String,
    pub chunks: Vec<Chunk>,
    pub reply: Reply,
}

/// The oracle's conversation as the engine takes it.
pub fn messages(chat: &test_support::Chat) -> Vec<Message> {
    let role = |role: &str| match role {
        "system" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        other => panic!("role {other}"),
    };
    chat.messages.iter().map(|m| Message { role: role(&m.role), content: m.content.clone() }).collect()
}

pub fn most(max_tokens: usize) -> Request {
    Request { max_tokens: Some(max_tokens), ..Request::default() }
}

/// Replies, and checks what holds for every reply.
pub fn say(session: &mut Session, messages: &[Message], request: &Request) -> Said {
    let mut chunks = Vec::new();
    let reply = session.reply(messages, request, &Cancel::default(), &mut |chunk| {
        chunks.push(chunk);
        ControlFlow::Continue(())
    });
    checked(chunks, reply.unwrap(), request)
}

/// What was emitted before the reply failed, and how it failed.
pub fn fail(session: &mut Session, messages: &[Message], request: &Request) -> (String, Error) {
    let mut text = String::new();
    let reply = session.reply(messages, request, &Cancel::default(), &mut |chunk| {
        text += &chunk.text;
        ControlFlow::Continue(())
    });
    (text, reply.unwrap_err())
}

pub fn checked(chunks: Vec<Chunk>, reply: Reply, request: &Request) -> Said {
    let tokens: usize = chunks.iter().map(|chunk| chunk.tokens).sum();
    if request.stop.is_empty() {
        assert_eq!(tokens, reply.completion_tokens, "every token is some chunk's");
    }
    assert!(tokens <= reply.completion_tokens);
    assert!(reply.cached_tokens < reply.prompt_tokens);
    if let Some(most) = request.max_tokens {
        assert!(reply.completion_tokens <= most);
        assert!(reply.finish != Finish::Length || reply.completion_tokens == most);
    }
    let timings = reply.timings;
    assert!(timings.prompt <= timings.generation && timings.decode <= timings.generation);
    Said { text: chunks.iter().map(|chunk| chunk.text.as_str()).collect(), chunks, reply }
}

/// The text of some tokens.
pub fn text_of(tokenizer: &Tokenizer, ids: &[u32]) -> String {
    let mut stream = TextStream::new(&[]);
    let text: String = ids.iter().map(|id| stream.push(tokenizer.token_bytes(*id).unwrap())).collect();
    text + &stream.finish()
}
