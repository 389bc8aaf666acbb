//! What a parsed rule reads, whether it may be run at all, and how it uses time.

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr, operators};

use super::time::{Base, TimeUse};
use super::vocabulary::{RFM_FIELDS, STATS, VARIABLES};
use crate::domain::state::{CONSENTS, Inputs, RFM, TRAITS};

/// Deepest nesting of an expression; keeps the interpreter's recursion within any stack.
const MAX_DEPTH: usize = 48;

/// Most steps that one judgement may take, loops multiplied out.
const MAX_STEPS: usize = 20_000;

/// Assumed size of a list or map that is not written out.
const ASSUMED_SIZE: usize = 64;

/// Functions that rules may call.
const FUNCTIONS: [&str; 26] = [
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "int",
    "uint",
    "double",
    "string",
    "bool",
    "timestamp",
    "duration",
    "getFullYear",
    "getMonth",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getHours",
    "getMinutes",
    "getSeconds",
    "getMilliseconds",
    "has",
    "all",
    "exists",
    "map",
    "filter",
];

/// What is wrong, and at which node.
pub(crate) struct Finding {
    pub(crate) node: u64,
    pub(crate) message: String,
}

/// What a rule reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Analysis {
    pub(crate) inputs: Inputs,
    pub(crate) time: TimeUse,
}

/// Looks an expression over.
pub(crate) fn analyse(expression: &IdedExpr) -> Result<Analysis, Finding> {
    let mut walk = Walk { found: Analysis::default(), bound: Vec::new(), in_macro: false };
    let steps = walk.expression(expression, 0)?;
    if steps > MAX_STEPS {
        return finding(expression.id, "is too much work: lists inside exists, all, map or filter are too long");
    }
    Ok(walk.found)
}

struct Walk<'e> {
    found: Analysis,
    /// Variables that enclosing macros have bound.
    bound: Vec<&'e str>,
    in_macro: bool,
}

impl<'e> Walk<'e> {
    /// Returns the number of steps that evaluating takes at most.
    fn expression(&mut self, node: &'e IdedExpr, depth: usize) -> Result<usize, Finding> {
        if depth > MAX_DEPTH {
            return finding(node.id, format!("is nested more than {MAX_DEPTH} deep"));
        }
        match &node.expr {
            Expr::Literal(_) => Ok(1),
            Expr::Ident(name) => self.identifier(node.id, name),
            Expr::Select(select) => self.select(node.id, select, depth),
            Expr::Call(call) => self.call(node.id, call, depth),
            Expr::Comprehension(comprehension) => self.comprehension(node.id, comprehension, depth),
            Expr::List(list) => self.all(list.elements.iter(), depth),
            Expr::Map(map) => {
                let mut steps = 1;
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        steps += self.expression(&entry.key, depth + 1)? + self.expression(&entry.value, depth + 1)?;
                    }
                }
                Ok(steps)
            }
            Expr::Struct(message) => {
                finding(node.id, format!("builds a message {:?}, and there are none", message.type_name))
            }
            Expr::Unspecified => finding(node.id, "is incomplete"),
        }
    }

    fn all(&mut self, nodes: impl Iterator<Item = &'e IdedExpr>, depth: usize) -> Result<usize, Finding> {
        let mut steps = 1;
        for node in nodes {
            steps += self.expression(node, depth + 1)?;
        }
        Ok(steps)
    }

    fn identifier(&mut self, node: u64, name: &str) -> Result<usize, Finding> {
        // What begins with @ is the accumulator of a macro.
        if name.starts_with('@') || self.bound.contains(&name) {
            return Ok(1);
        }
        match name {
            "stats" => {
                for (field, _) in STATS {
                    self.stat(node, field)?;
                }
            }
            "rfm" => self.reads_rfm(),
            "traits" => self.found.inputs |= TRAITS,
            "consents" => self.found.inputs |= CONSENTS,
            "now" => self.found.time.daily = true,
            _ => {
                return finding(
                    node,
                    format!("reads the unknown variable {name:?}; there are {}", VARIABLES.join(", ")),
                );
            }
        }
        Ok(1)
    }

    fn select(&mut self, node: u64, select: &'e SelectExpr, depth: usize) -> Result<usize, Finding> {
        let Some(variable) = self.variable(&select.operand) else {
            return Ok(1 + self.expression(&select.operand, depth + 1)?);
        };
        self.field(node, variable, &select.field)?;
        Ok(2)
    }

    /// Notes that `variable.field` is read.
    fn field(&mut self, node: u64, variable: &str, field: &str) -> Result<(), Finding> {
        match variable {
            "stats" => self.stat(node, field),
            "rfm" if RFM_FIELDS.iter().any(|(known, _)| *known == field) => {
                self.reads_rfm();
                Ok(())
            }
            "rfm" => unknown_field(node, "rfm", field, RFM_FIELDS.iter().map(|(known, _)| *known)),
            "traits" => {
                self.found.inputs |= TRAITS;
                Ok(())
            }
            "consents" => {
                self.found.inputs |= CONSENTS;
                Ok(())
            }
            _ => finding(node, format!("reads {variable}.{field}, but {variable} has no fields")),
        }
    }

    fn stat(&mut self, node: u64, field: &str) -> Result<(), Finding> {
        let Some((_, inputs)) = STATS.iter().find(|(known, _)| *known == field) else {
            return unknown_field(node, "stats", field, STATS.iter().map(|(known, _)| *known));
        };
        self.found.inputs |= inputs;
        if let Some(base) = Base::of_variable(field) {
            self.found.time.used(base);
        }
        Ok(())
    }

    fn reads_rfm(&mut self) {
        self.found.inputs |= RFM;
    }

    fn call(&mut self, node: u64, call: &'e CallExpr, depth: usize) -> Result<usize, Finding> {
        let name = call.func_name.as_str();
        if let ([left, right], None) = (call.args.as_slice(), &call.target) {
            if is_comparison(name) && self.comparison(left, right) {
                return Ok(4);
            }
            if let (operators::INDEX, Some(variable), Some(field)) = (name, self.variable(left), text_of(right)) {
                self.field(node, variable, field)?;
                return Ok(3);
            }
        }
        // Operators and the steps of macros have names that no expression can spell.
        let is_operator = !name.starts_with(|first: char| first.is_ascii_alphabetic());
        if !is_operator && !FUNCTIONS.contains(&name) {
            return finding(node, format!("calls the unknown function {name:?}; there are {}", FUNCTIONS.join(", ")));
        }
        self.all(call.target.as_deref().into_iter().chain(&call.args), depth)
    }

    /// Takes in a comparison of an age with a number; returns whether it was one.
    fn comparison(&mut self, left: &'e IdedExpr, right: &'e IdedExpr) -> bool {
        for (age, number) in [(left, right), (right, left)] {
            if let (Some(base), Some(number)) = (self.age(age), number_of(number)) {
                self.found.time.compared(base, number);
                let inputs = STATS.iter().find(|(known, _)| *known == base.variable()).map(|(_, inputs)| inputs);
                self.found.inputs |= inputs.expect("every base is a field of stats");
                return true;
            }
        }
        false
    }

    /// Returns which age a node reads, if it reads nothing else.
    fn age(&self, node: &'e IdedExpr) -> Option<Base> {
        match &node.expr {
            Expr::Select(select) if !select.test && self.variable(&select.operand) == Some("stats") => {
                Base::of_variable(&select.field)
            }
            _ => None,
        }
    }

    /// Returns the name of the variable that a node is, unless a macro has bound that name.
    fn variable(&self, node: &'e IdedExpr) -> Option<&'e str> {
        match &node.expr {
            Expr::Ident(name) if !self.bound.contains(&name.as_str()) && VARIABLES.contains(&name.as_str()) => {
                Some(name)
            }
            _ => None,
        }
    }

    /// A macro inside a macro could make work and memory grow with a power of the expression's length.
    fn comprehension(
        &mut self,
        node: u64,
        comprehension: &'e ComprehensionExpr,
        depth: usize,
    ) -> Result<usize, Finding> {
        if self.in_macro {
            return finding(node, "nests exists, all, map or filter inside one another");
        }
        self.in_macro = true;
        let range_steps = self.expression(&comprehension.iter_range, depth + 1)?;
        self.bound.push(&comprehension.iter_var);
        self.bound.extend(comprehension.iter_var2.as_deref());
        let parts =
            [&comprehension.accu_init, &comprehension.loop_cond, &comprehension.loop_step, &comprehension.result];
        let loop_steps = self.all(parts.into_iter(), depth)?;
        self.bound.clear();
        self.in_macro = false;

        let size = match &comprehension.iter_range.expr {
            Expr::List(list) => list.elements.len(),
            Expr::Map(map) => map.entries.len(),
            _ => ASSUMED_SIZE.max(range_steps),
        };
        Ok(range_steps + size.saturating_mul(loop_steps))
    }
}

fn is_comparison(name: &str) -> bool {
    matches!(
        name,
        operators::LESS
            | operators::LESS_EQUALS
            | operators::GREATER
            | operators::GREATER_EQUALS
            | operators::EQUALS
            | operators::NOT_EQUALS
    )
}

fn number_of(node: &IdedExpr) -> Option<f64> {
    match &node.expr {
        Expr::Literal(LiteralValue::Int(number)) => Some(*number.inner() as f64),
        Expr::Literal(LiteralValue::UInt(number)) => Some(*number.inner() as f64),
        Expr::Literal(LiteralValue::Double(number)) => Some(*number.inner()),
        _ => None,
    }
}

fn text_of(node: &IdedExpr) -> Option<&str> {
    match &node.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}

fn finding<T>(node: u64, message: impl Into<String>) -> Result<T, Finding> {
    Err(Finding { node, message: message.into() })
}

fn unknown_field<T>(
    node: u64,
    variable: &str,
    field: &str,
    known: impl Iterator<Item = &'static str>,
) -> Result<T, Finding> {
    let known: Vec<&str> = known.collect();
    finding(node, format!("reads the unknown field {variable}.{field}; {variable} has {}", known.join(", ")))
}
