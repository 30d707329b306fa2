//! Every `a + b` of a template becomes a call of a function that looks at the sizes first.
//!
//! The engine joins lists lazily, and copies them at once when they are nested deeply: 33 times `x = x + x` asks for
//! gigabytes before any fuel is paid. No setting of the engine prevents it, so the sum is taken here. Texts keep
//! their lines, for the places that errors name.
//!
//! Chains of operators and of `elif` nest without the parser's limit, and would use up the stack: they are counted
//! before anything is parsed.

use minijinja::{
    Environment, Error, ErrorKind, State, Value,
    machinery::{Token, ast, parse, tokenize},
    syntax::SyntaxConfig,
    value::ValueKind,
};

/// The function's name in templates, which no published one uses.
const NAME: &str = "__sum";
/// Items that lists of a template may have.
const MOST_ITEMS: usize = 65_536;
/// Bytes that a text of a template may have.
const MOST_BYTES: usize = 4 << 20;

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
    edits.sort_by_key(|(at, _, text)| (*at, *text != ")"));
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
    environment.add_function(NAME, sum);
}

fn sum(state: &State, left: Value, right: Value) -> Result<Value, Error> {
    let too_large = || Error::new(ErrorKind::InvalidOperation, "a sum is too large");
    let list = |value: &Value| matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable);
    if list(&left) && list(&right) {
        let len = left.len().zip(right.len()).and_then(|(a, b)| a.checked_add(b));
        let len = len.filter(|len| *len <= MOST_ITEMS).ok_or_else(too_large)?;
        state.consume_fuel(len as u64)?;
        return Ok(left.try_iter()?.chain(right.try_iter()?).collect());
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
    fn add(&mut self, (from, to): (usize, usize), left_end: usize) -> Result<(), Error> {
        let rest = self.source.get(left_end..).unwrap_or_default();
        let plus = rest.find(|character: char| !character.is_whitespace() && !")]}".contains(character));
        let plus = plus
            .filter(|at| rest[*at..].starts_with('+'))
            .ok_or_else(|| Error::new(ErrorKind::SyntaxError, "an addition whose place cannot be told"))?;
        self.edits.extend([(from, 0, "__sum("), (left_end + plus, 1, ","), (to, 0, ")")]);
        Ok(())
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
                self.exprs([&node.target, &node.iter].into_iter().chain(&node.filter_expr))?;
                self.stmts(&node.body)?;
                self.stmts(&node.else_body)
            }
            ast::Stmt::IfCond(node) => {
                self.expr(&node.expr)?;
                self.stmts(&node.true_body)?;
                self.stmts(&node.false_body)
            }
            ast::Stmt::WithBlock(node) => {
                self.exprs(node.assignments.iter().flat_map(|(target, value)| [target, value]))?;
                self.stmts(&node.body)
            }
            ast::Stmt::Set(node) => self.exprs([&node.target, &node.expr]),
            ast::Stmt::SetBlock(node) => {
                self.exprs([&node.target].into_iter().chain(&node.filter))?;
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
        self.exprs(node.args.iter().chain(&node.defaults))?;
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
                if matches!(node.op, ast::BinOpKind::Add) {
                    let span = node.span();
                    let whole = (span.start_offset as usize, span.end_offset as usize);
                    self.add(whole, node.left.span().end_offset as usize)?;
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
            ast::Expr::List(node) => self.exprs(&node.items),
            ast::Expr::Tuple(node) => self.exprs(&node.items),
            ast::Expr::Map(node) => self.exprs(node.keys.iter().chain(&node.values)),
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
            "{% if __sum((a) , -b) > f(x=__sum(c , d)) %}{{ [__sum(1 , 2)][0] - 3 }}{% endif %}"
        );
    }
}
