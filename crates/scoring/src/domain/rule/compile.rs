//! From text to a rule that can be run.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};

use cel::common::ast::SourceInfo;
use cel::common::types::CelBool;
use cel::{Context, Env, ExecutionError, ParseErrors, Program, Value};

use super::MAX_CHARS;
use super::analysis::{Analysis, analyse};
use super::time::TimeUse;
use super::vocabulary::View;
use crate::domain::next_midnight;
use crate::domain::rfm::Cell;
use crate::domain::state::ORDERS;
use crate::domain::state::{CURRENCY, Inputs, RFM, Span, State};

/// Stack of the thread that parses: the parser recurses many frames deep for each level of nesting.
const PARSER_STACK_BYTES: usize = 32 << 20;

/// Most open brackets: the parser's work grows steeply with them.
const MAX_BRACKETS: usize = 24;

static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// A rule ready to be run.
#[derive(Debug)]
pub(crate) struct Rule {
    program: Program,
    analysis: Analysis,
}

/// Why an expression is no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} (line {line}, column {column})")]
pub(crate) struct RuleError {
    /// What is wrong.
    pub(crate) message: String,
    /// Line, from 1.
    pub(crate) line: usize,
    /// Column in characters, from 1.
    pub(crate) column: usize,
}

impl RuleError {
    fn at_start(message: impl Into<String>) -> Self {
        Self { message: message.into(), line: 1, column: 1 }
    }
}

impl Rule {
    /// Compiles and checks an expression.
    pub(crate) fn compile(expression: &str) -> Result<Self, RuleError> {
        check_text(expression)?;
        let text = expression.to_owned();
        let compiling = std::thread::Builder::new()
            .name("rule-compiler".into())
            .stack_size(PARSER_STACK_BYTES)
            // Analysed here too: what is nested too deeply to be walked or dropped elsewhere never leaves this thread.
            .spawn(move || compile_here(&text))
            .map_err(|_| RuleError::at_start("cannot be compiled now: the system has no thread left"))?;
        // A panic of the parser ends that thread and nothing else.
        let rule = compiling.join().unwrap_or_else(|_| Err(RuleError::at_start("cannot be parsed")))?;
        rule.check_on_sample()?;
        Ok(rule)
    }

    /// Whether the rule matches. What fails to evaluate, such as a missing trait, does not match.
    pub(crate) fn matches(&self, view: &View<'_>) -> bool {
        matches!(self.evaluate(view), Some(Ok(Outcome::Answer(true))))
    }

    /// Returns what the rule reads.
    pub(crate) fn inputs(&self) -> Inputs {
        self.analysis.inputs
    }

    /// Whether a person's orders alone decide, and not how long ago they were.
    pub(crate) fn is_by_orders(&self) -> bool {
        self.inputs() == ORDERS && self.time().is_timeless()
    }

    /// Whether the rule reads what a refresh of the RFM cuts may change.
    pub(crate) fn reads_cuts(&self) -> bool {
        self.inputs() & (RFM | CURRENCY) != 0
    }

    /// Returns the first instant after `now_us` at which time alone may change the answer for one person.
    ///
    /// RFM cuts move each midnight (UTC); people are judged again then because the cuts moved, not by timers.
    pub(crate) fn next_change_us(&self, state: &State, now_us: i64) -> Option<i64> {
        let moved_cuts = (self.inputs() & RFM != 0).then(|| next_midnight(now_us));
        self.time().next_change_us(state, now_us).into_iter().chain(moved_cuts).min()
    }

    /// Returns how the rule uses time, moved cuts aside.
    pub(crate) fn time(&self) -> &TimeUse {
        &self.analysis.time
    }

    /// Returns nothing when the interpreter panicked.
    fn evaluate(&self, view: &View<'_>) -> Option<Result<Outcome, ExecutionError>> {
        let evaluated = catch_unwind(AssertUnwindSafe(|| {
            let mut context = Context::with_env(Arc::clone(&ENV));
            context.set_variable_resolver(view);
            let value = Value::resolve_val(self.program.expression(), &context)?;
            Ok(match value.downcast_ref::<CelBool>() {
                Some(answer) => Outcome::Answer(*answer.inner()),
                None => Outcome::Other(value.get_type().name().to_owned()),
            })
        }));
        evaluated.ok()
    }

    /// Refuses what could never match: a rule that yields no truth value, or that mixes types that do not mix.
    fn check_on_sample(&self) -> Result<(), RuleError> {
        let sample = sample();
        let rfm = Some(Cell { recency: 3, frequency: 3, monetary: 3 });
        let view = View { state: &sample, now_us: 1_700_000_000_000_000, rfm, currency: "EUR" };
        match self.evaluate(&view) {
            None => Err(RuleError::at_start("cannot be evaluated")),
            Some(Ok(Outcome::Answer(_))) => Ok(()),
            Some(Ok(Outcome::Other(kind))) => {
                Err(RuleError::at_start(format!("must yield true or false, and yields a value of type {kind}")))
            }
            Some(Err(error)) if depends_on_the_person(&error) => Ok(()),
            Some(Err(error)) => Err(RuleError::at_start(format!("can never be evaluated: {error}"))),
        }
    }
}

enum Outcome {
    Answer(bool),
    /// Name of the type of another value.
    Other(String),
}

/// A missing trait or a value that does not convert says nothing about other people.
fn depends_on_the_person(error: &ExecutionError) -> bool {
    matches!(
        error,
        ExecutionError::NoSuchKey(_)
            | ExecutionError::FunctionError { .. }
            | ExecutionError::DivisionByZero(_)
            | ExecutionError::RemainderByZero(_)
            | ExecutionError::Overflow(..)
            | ExecutionError::IndexOutOfBounds(_)
    )
}

/// Somebody for whom every field of `stats` has a value.
fn sample() -> State {
    let mut state = State::new();
    state.stats.order_count = 3;
    state.stats.event_count = 30;
    state.stats.product_view_count = 12;
    state.stats.cart_add_count = 5;
    let span = Span { first_us: 1_600_000_000_000_000, last_us: 1_690_000_000_000_000 };
    state.stats.orders_us = Some(span);
    state.stats.events_us = Some(span);
    let value = crate::domain::state::Value { order_count: 3, net_micros: 90_000_000, refunded_micros: 10_000_000 };
    state.stats.values.insert("EUR".into(), value);
    state
}

fn check_text(expression: &str) -> Result<(), RuleError> {
    if expression.trim().is_empty() {
        return Err(RuleError::at_start("must not be empty"));
    }
    if expression.chars().count() > MAX_CHARS {
        return Err(RuleError::at_start(format!("must be at most {MAX_CHARS} characters")));
    }
    let mut open = 0_usize;
    for (offset, character) in expression.char_indices() {
        match character {
            '(' | '[' | '{' => open += 1,
            ')' | ']' | '}' => open = open.saturating_sub(1),
            _ => {}
        }
        if open > MAX_BRACKETS {
            let (line, column) = position(expression, offset);
            return Err(RuleError {
                message: format!("opens more than {MAX_BRACKETS} brackets at once"),
                line,
                column,
            });
        }
    }
    Ok(())
}

fn compile_here(text: &str) -> Result<Rule, RuleError> {
    let program = Program::compile(text).map_err(|errors| first_parse_error(&errors))?;
    let analysis = analyse(program.expression()).map_err(|finding| {
        let (line, column) = place(program.source_info(), finding.node, text);
        RuleError { message: finding.message, line, column }
    })?;
    Ok(Rule { program, analysis })
}

fn first_parse_error(errors: &ParseErrors) -> RuleError {
    let Some(error) = errors.errors.first() else {
        return RuleError::at_start("cannot be parsed");
    };
    let at_least_one = |number: isize| usize::try_from(number).unwrap_or(1).max(1);
    RuleError {
        message: format!("cannot be parsed: {}", error.msg),
        line: at_least_one(error.pos.0),
        column: at_least_one(error.pos.1),
    }
}

fn place(source: &SourceInfo, node: u64, text: &str) -> (usize, usize) {
    let characters = source.offset_for(node).map_or(0, |(start, _)| start as usize);
    let offset = text.char_indices().nth(characters).map_or(0, |(offset, _)| offset);
    position(text, offset)
}

/// Returns line and column, from 1, of a byte offset.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..offset];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
