//! Every `a + b`, `a ~ b`, `[a]`, `(a, b)` and `{'k': a}` of a template becomes a call that looks at the sizes first.
//!
//! The engine charges a step for each of them, whatever it makes: 33 times `x = x + x` asks for gigabytes, and 60 times
//! `x = [x, x]` is small until it is printed or compared, which then never ends. No setting of the engine prevents it,
//! so these are made here, charged by what they hold. Texts keep their lines, for the places that errors name.
//!
//! Chains of operators and of `elif` nest without the parser's limit, and would use up the stack: they are counted
//! before anything is parsed.

use minijinja::{
    Environment, Error, ErrorKind, State, Value,
    machinery::{Span, Token, ast, ast::Spanned, parse, tokenize},
    syntax::SyntaxConfig,
    value::ValueKind,
};

use super::bounds::{MOST_BYTES, text_of, too_large, weigh};

// names that no published template uses
const SUM: &str = "__sum";
const JOINED: &str = "__joined";
const WHOLE: &str = "__whole";
/// Items that lists of a template may have.
const MOST_ITEMS: usize = 65_536;

/// Tokens between two braces, which bound how deep an expression nests; published templates stay below 200.
const MOST_TOKENS: usize = 1_500;
/// Branches of conditions in the whole template.
const MOST_BRANCHES: usize = 1_000;

/// The template with its additions replaced.
pub(super) fn replace(source: &str, syntax: SyntaxConfig) -> Result<String, Error> {
    bounded(source, &syntax)?;
    let mut sums = Sums { source, edits: vec![] };
    sums.stmt(&parse(source, "chat", syntax)?)?;
    let Sums { mut edits, .. } = sums;
    // at one place what ends comes before what begins; the sort is stable
    edits.sort_by_key(|(at, _, text)| (*at, !text.starts_with(')')));
    let mut out = String::with_capacity(source.len() + edits.len() * 8);
    let mut done = 0;
    for (at, replaced, text) in edits {
        out.push_str(&source[done..at]);
        out.push_str(text);
        done = at + replaced;
    }
    out.push_str(&source[done..]);
    Ok(out)
}

fn bounded(source: &str, syntax: &SyntaxConfig) -> Result<(), Error> {
    let (mut tokens, mut branches) = (0, 0);
    for token in tokenize(source, false, syntax.clone()) {
        match token?.0 {
            Token::VariableStart | Token::BlockStart => tokens = 0,
            Token::Ident("elif") => branches += 1,
            _ => tokens += 1,
        }
        if tokens > MOST_TOKENS || branches > MOST_BRANCHES {
            return Err(Error::new(ErrorKind::SyntaxError, "an expression or a condition is too long"));
        }
    }
    Ok(())
}

pub(super) fn install(environment: &mut Environment<'_>) {
    environment.add_function(SUM, sum);
    environment.add_function(JOINED, joined);
    environment.add_function(WHOLE, whole);
}

/// A list, a tuple or a map that has just been made of other values.
fn whole(state: &State, value: Value) -> Result<Value, Error> {
    state.consume_fuel(weigh(&value)? as u64 / 64)?;
    Ok(value)
}

fn joined(state: &State, left: Value, right: Value) -> Result<Value, Error> {
    let mut text = text_of(&left)?;
    text.push_str(&text_of(&right)?);
    state.consume_fuel(text.len() as u64 / 64)?;
    if text.len() > MOST_BYTES { Err(too_large()) } else { Ok(text.into()) }
}

fn sum(state: &State, left: Value, right: Value) -> Result<Value, Error> {
    let list = |value: &Value| matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable);
    if list(&left) && list(&right) {
        let len = left.len().zip(right.len()).and_then(|(a, b)| a.checked_add(b));
        let len = len.filter(|len| *len <= MOST_ITEMS).ok_or_else(too_large)?;
        state.consume_fuel(len as u64)?;
        return whole(state, left.try_iter()?.chain(right.try_iter()?).collect());
    }
    if let (Some(a), Some(b)) = (left.as_str(), right.as_str()) {
        let len = a.len().checked_add(b.len()).filter(|len| *len <= MOST_BYTES).ok_or_else(too_large)?;
        state.consume_fuel(len as u64 / 64)?;
        return Ok(Value::from([a, b].concat()));
    }
    // numbers, and the engine's own words for what cannot be added
    let added = state.env().compile_expression("a + b")?;
    added.eval(minijinja::context! { a => left, b => right })
}

/// Replacements: where, how many bytes, what by.
struct Sums<'a> {
    source: &'a str,
    edits: Vec<(usize, usize, &'static str)>,
}

impl Sums<'_> {
    fn add(&mut self, (from, to): (usize, usize), left_end: usize, sum: bool) -> Result<(), Error> {
        let (sign, call) = if sum { ('+', "__sum(") } else { ('~', "__joined(") };
        let rest = self.source.get(left_end..).unwrap_or_default();
        let plus = rest.find(|character: char| !character.is_whitespace() && !")]}".contains(character));
        let plus = plus
            .filter(|at| rest[*at..].starts_with(sign))
            .ok_or_else(|| Error::new(ErrorKind::SyntaxError, "an addition whose place cannot be told"))?;
        self.edits.extend([(from, 0, call), (left_end + plus, 1, ","), (to, 0, ")")]);
        Ok(())
    }

    /// The place of a tuple without parentheses is that of all but its first item: the second
    /// is looked at instead of the whole, and more are refused.
    fn tuple(&mut self, node: &Spanned<ast::Tuple<'_>>) -> Result<(), Error> {
        let (span, Some(first)) = (node.span(), node.items.first()) else { return Ok(()) };
        let bare = span.start_offset > first.span().start_offset;
        let written = self.source.get(..span.end_offset as usize).unwrap_or_default().trim_end();
        if bare && (node.items.len() > 2 || written.ends_with(',')) {
            let text = "a tuple of this length needs parentheses";
            return Err(Error::new(ErrorKind::SyntaxError, text));
        }
        self.make(span);
        Ok(())
    }

    /// Two parentheses, which a list of arguments takes for one value.
    fn make(&mut self, span: Span) {
        let (from, to) = (span.start_offset as usize, span.end_offset as usize);
        self.edits.extend([(from, 0, "__whole(("), (to, 0, "))")]);
    }

    fn stmts(&mut self, stmts: &[ast::Stmt<'_>]) -> Result<(), Error> {
        stmts.iter().try_for_each(|stmt| self.stmt(stmt))
    }

    fn stmt(&mut self, stmt: &ast::Stmt<'_>) -> Result<(), Error> {
        match stmt {
            ast::Stmt::Template(node) => self.stmts(&node.children),
            ast::Stmt::EmitExpr(node) => self.expr(&node.expr),
            ast::Stmt::EmitRaw(_) | ast::Stmt::Continue(_) | ast::Stmt::Break(_) => Ok(()),
            ast::Stmt::ForLoop(node) => {
                self.exprs([&node.iter].into_iter().chain(&node.filter_expr))?;
                self.stmts(&node.body)?;
                self.stmts(&node.else_body)
            }
            ast::Stmt::IfCond(node) => {
                self.expr(&node.expr)?;
                self.stmts(&node.true_body)?;
                self.stmts(&node.false_body)
            }
            ast::Stmt::WithBlock(node) => {
                self.exprs(node.assignments.iter().map(|(_, value)| value))?;
                self.stmts(&node.body)
            }
            ast::Stmt::Set(node) => self.expr(&node.expr),
            ast::Stmt::SetBlock(node) => {
                self.exprs(&node.filter)?;
                self.stmts(&node.body)
            }
            ast::Stmt::AutoEscape(node) => {
                self.expr(&node.enabled)?;
                self.stmts(&node.body)
            }
            ast::Stmt::FilterBlock(node) => {
                self.expr(&node.filter)?;
                self.stmts(&node.body)
            }
            ast::Stmt::Macro(node) => self.declared(node),
            ast::Stmt::CallBlock(node) => {
                self.call(&node.call)?;
                self.declared(&node.macro_decl)
            }
            ast::Stmt::Do(node) => self.call(&node.call),
        }
    }

    fn declared(&mut self, node: &ast::Macro<'_>) -> Result<(), Error> {
        self.exprs(&node.defaults)?;
        self.stmts(&node.body)
    }

    fn call(&mut self, node: &ast::Call<'_>) -> Result<(), Error> {
        self.expr(&node.expr)?;
        self.args(&node.args)
    }

    fn args(&mut self, args: &[ast::CallArg<'_>]) -> Result<(), Error> {
        args.iter().try_for_each(|arg| match arg {
            ast::CallArg::Pos(expr)
            | ast::CallArg::Kwarg(_, expr)
            | ast::CallArg::PosSplat(expr)
            | ast::CallArg::KwargSplat(expr) => self.expr(expr),
        })
    }

    fn exprs<'a, 's: 'a>(&mut self, exprs: impl IntoIterator<Item = &'a ast::Expr<'s>>) -> Result<(), Error> {
        exprs.into_iter().try_for_each(|expr| self.expr(expr))
    }

    fn expr(&mut self, expr: &ast::Expr<'_>) -> Result<(), Error> {
        match expr {
            ast::Expr::Var(_) | ast::Expr::Const(_) => Ok(()),
            ast::Expr::Slice(node) => {
                self.expr(&node.expr)?;
                self.exprs([&node.start, &node.stop, &node.step].into_iter().flatten())
            }
            ast::Expr::UnaryOp(node) => self.expr(&node.expr),
            ast::Expr::BinOp(node) => {
                let sum = matches!(node.op, ast::BinOpKind::Add);
                if sum || matches!(node.op, ast::BinOpKind::Concat) {
                    let span = node.span();
                    let whole = (span.start_offset as usize, span.end_offset as usize);
                    self.add(whole, node.left.span().end_offset as usize, sum)?;
                }
                self.exprs([&node.left, &node.right])
            }
            ast::Expr::Compare(node) => {
                self.exprs([&node.expr].into_iter().chain(node.ops.iter().map(|op| &op.expr)))
            }
            ast::Expr::IfExpr(node) => {
                self.exprs([&node.test_expr, &node.true_expr].into_iter().chain(&node.false_expr))
            }
            ast::Expr::Filter(node) => {
                self.exprs(&node.expr)?;
                self.args(&node.args)
            }
            ast::Expr::Test(node) => {
                self.expr(&node.expr)?;
                self.args(&node.args)
            }
            ast::Expr::GetAttr(node) => self.expr(&node.expr),
            ast::Expr::GetItem(node) => self.exprs([&node.expr, &node.subscript_expr]),
            ast::Expr::Call(node) => self.call(node),
            ast::Expr::List(node) => {
                self.make(node.span());
                self.exprs(&node.items)
            }
            ast::Expr::Tuple(node) => {
                self.tuple(node)?;
                self.exprs(&node.items)
            }
            ast::Expr::Map(node) => {
                self.make(node.span());
                self.exprs(node.keys.iter().chain(&node.values))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_keep_their_order_and_everything_else_stays() {
        let replaced = |source| replace(source, SyntaxConfig::default()).unwrap();
        assert_eq!(
            replaced("a + {{ a + b.c[0] + (d + 'x + y')|trim }} + \n{# 1 + 1 #}"),
            "a + {{ __sum(__sum(a , b.c[0]) , (__sum(d , 'x + y'))|trim) }} + \n{# 1 + 1 #}"
        );
        assert_eq!(
            replaced("{% if (a) + -b > f(x=c + d) %}{{ [1 + 2][0] - 3 }}{% endif %}"),
            "{% if __sum((a) , -b) > f(x=__sum(c , d)) %}{{ __whole(([__sum(1 , 2)]))[0] - 3 }}{% endif %}"
        );
        assert_eq!(
            replaced("{% set a, b = (c), [d] ~ {'e': (f, g)} %}{% for (h, i) in [] %}{% endfor %}"),
            "{% set a, b = (c), __whole((__joined(__whole(([d])) , __whole(({'e': __whole(((f, g)))}))))) %}{% for (h, i) in __whole(([])) %}{% endfor %}"
        );
    }
}
