//! The model's own chat template, run on data that it cannot be tricked by.

mod additions;
pub(super) mod bounds;

use super::{Message, PromptError, filters};
use crate::tokenizer::{AddedTokens, Segment};
use bounds::{Capped, MOST_BYTES};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error, ErrorKind, Value, context};
use std::time::SystemTime;

const MAX_TEMPLATE: usize = 256 << 10;
/// Steps that a template may take; a long conversation takes a few thousand.
const FUEL: u64 = 1_000_000;
const MAX_DEPTH: usize = 100;

/// For models whose vocabulary has ChatML's marks and whose files have no template.
const CHAT_ML: &str = "{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
/// For models that nothing is known about.
const PLAIN: &str = "{% for message in messages %}{{ message.role + ': ' + message.content + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ 'assistant:' }}{% endif %}";

/// A chat template in Jinja, as Hugging Face's tokenizers run it, without access to anything but its data.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    model: String,
    bos: String,
    eos: String,
}

/// What a template wrote, split into ordinary text and the template's own special tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    segments: Vec<Segment>,
}

impl Rendered {
    /// What no template wrote.
    pub(super) fn plain(segments: Vec<Segment>) -> Self {
        Self { segments }
    }

    /// The stretches in order.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The text as the plain template writes it.
    pub fn text(&self) -> String {
        self.segments.iter().map(Segment::text).collect()
    }
}

impl ChatTemplate {
    /// Compiles a template. `model` is named in errors; `bos` and `eos` are what the template may write.
    pub fn new(model: &str, source: &str, bos: &str, eos: &str) -> Result<Self, PromptError> {
        if source.len() > MAX_TEMPLATE {
            let (model, size) = (model.to_owned(), source.len());
            return Err(PromptError::TemplateTooLarge { model, size, limit: MAX_TEMPLATE });
        }
        let mut environment = Environment::new();
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(MAX_DEPTH);
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        let syntax = syntax.map_err(|error| failed(model, &error))?;
        environment.set_syntax(syntax.clone());
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        filters::install(&mut environment);
        additions::install(&mut environment);
        bounds::install(&mut environment);
        let source = additions::replace(source, syntax).map_err(|error| failed(model, &error))?;
        environment.add_template_owned("chat", source).map_err(|error| failed(model, &error))?;
        Ok(Self { environment, model: model.to_owned(), bos: bos.to_owned(), eos: eos.to_owned() })
    }

    /// The template to use for a model whose files have none.
    pub(crate) fn fallback(added: &AddedTokens) -> &'static str {
        if added.get("<|im_start|>").is_some() { CHAT_ML } else { PLAIN }
    }

    /// Runs the template. Each control token that a message spells is sealed before, so that the template's
    /// output holds only its own; the seals are gone in what comes back.
    pub(crate) fn render(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
        added: &AddedTokens,
        now: SystemTime,
    ) -> Result<Rendered, PromptError> {
        let seal = self.seal(messages)?;
        let sealed: Vec<Value> = messages
            .iter()
            .map(|message| {
                context! { role => message.role.as_str(), content => added.seal(&message.content, seal) }
            })
            .collect();
        let mut environment = self.environment.clone();
        filters::install_clock(&mut environment, now);
        let template = environment.get_template("chat").map_err(|error| failed(&self.model, &error))?;
        let data = context! {
            messages => sealed,
            add_generation_prompt => add_generation_prompt,
            bos_token => &self.bos,
            eos_token => &self.eos,
            // As Hugging Face passes them where nobody gives any.
            tools => Value::from(()),
            documents => Value::from(()),
        };
        let mut output = Capped::default();
        let result = template.render_captured_to(data, &mut output).map(|_| ());
        if output.full {
            return Err(PromptError::OutputTooLarge { model: self.model.clone(), limit: MOST_BYTES });
        }
        result.map_err(|error| failed(&self.model, &error))?;
        let text = String::from_utf8_lossy(&output.bytes);
        let unsealed = added.split(&text).into_iter().filter_map(|segment| match segment {
            Segment::Text(text) => {
                Some(text.replace(seal, "")).filter(|text| !text.is_empty()).map(Segment::Text)
            }
            token @ Segment::Token { .. } => Some(token),
        });
        Ok(Rendered { segments: unsealed.collect() })
    }

    /// A character that no message contains: one that Unicode keeps for such use, or a private one.
    fn seal(&self, messages: &[Message]) -> Result<char, PromptError> {
        let mut candidates = ('\u{FDD0}'..='\u{FDEF}').chain('\u{F0000}'..='\u{10FFFD}');
        let free = |seal: &char| !messages.iter().any(|message| message.content.contains(*seal));
        candidates.find(free).ok_or_else(|| PromptError::Template {
            model: self.model.clone(),
            reason: "the messages use every private character of Unicode".into(),
        })
    }
}

fn failed(model: &str, error: &Error) -> PromptError {
    if error.kind() == ErrorKind::OutOfFuel {
        let reason = "it takes too many steps, or too much memory".into();
        return PromptError::Template { model: model.to_owned(), reason };
    }
    // The engine's detail without its kind is what `raise_exception` was given.
    let text = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    let line = error.line().map(|line| format!(" (line {line})")).unwrap_or_default();
    PromptError::Template { model: model.to_owned(), reason: format!("{text}{line}") }
}

#[cfg(test)]
mod tests;
