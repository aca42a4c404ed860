//! The part of PromQL that is understood (docs/alerts.md), read strictly: whatever else an expression holds is named in the error.

use super::tokens::{Token, not_understood, tokens};
use regex::{Regex, RegexBuilder};
use shakedown_model::units::prometheus_duration;

/// Longest expression.
const BYTES_MAX: usize = 10_000;
/// How deep an expression may be nested.
const DEPTH_MAX: usize = 50;
/// How many operators it may have: each is a level, too, where it is evaluated.
const OPERATORS_MAX: usize = 200;
/// Bound on the memory of one compiled pattern.
const PATTERN_SIZE: usize = 1 << 20;

#[derive(Debug)]
pub(super) enum Expr {
    Number(f64),
    Select(Selector),
    /// A function of what a range of time holds.
    Over(Over, Selector, f64),
    Absent(Selector),
    /// A quantile of classic buckets.
    Quantile(f64, Box<Expr>),
    Math(Math, Box<Expr>),
    Aggregate(Aggregate, Grouping, Box<Expr>),
    Binary(Operator, Grouping, Box<Expr>, Box<Expr>),
}

#[derive(Debug)]
pub(super) struct Selector {
    pub(super) name: String,
    pub(super) matchers: Vec<Matcher>,
}

#[derive(Debug)]
pub(super) struct Matcher {
    pub(super) label: String,
    pub(super) negative: bool,
    pub(super) pattern: Pattern,
}

#[derive(Debug)]
pub(super) enum Pattern {
    Text(String),
    Regex(Regex),
}

impl Matcher {
    /// A label that is not there is empty.
    pub(super) fn holds(&self, value: &str) -> bool {
        let is = match &self.pattern {
            Pattern::Text(text) => text == value,
            Pattern::Regex(regex) => regex.is_match(value),
        };
        is != self.negative
    }
}

/// `by`/`on`, `without`/`ignoring`, or neither.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Grouping {
    None,
    Only(Vec<String>),
    Without(Vec<String>),
}

macro_rules! words {
    ($name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum $name { $($variant),+ }
        impl $name {
            fn of(word: &str) -> Option<$name> {
                match word { $($word => Some($name::$variant),)+ _ => None }
            }
        }
    };
}

words!(Over {
    Rate = "rate",
    Irate = "irate",
    Increase = "increase",
    Delta = "delta",
    Avg = "avg_over_time",
    Min = "min_over_time",
    Max = "max_over_time",
    Sum = "sum_over_time",
    Count = "count_over_time",
    Last = "last_over_time",
});
words!(Math { Abs = "abs", Ceil = "ceil", Floor = "floor", Negative = "-" });
words!(Aggregate { Sum = "sum", Avg = "avg", Min = "min", Max = "max", Count = "count" });
words!(Operator {
    Or = "or",
    And = "and",
    Unless = "unless",
    Equal = "==",
    NotEqual = "!=",
    Greater = ">",
    Less = "<",
    GreaterEqual = ">=",
    LessEqual = "<=",
    Add = "+",
    Subtract = "-",
    Multiply = "*",
    Divide = "/",
    Modulo = "%",
    Power = "^",
});

impl Operator {
    fn strength(self) -> u8 {
        match self {
            Operator::Or => 1,
            Operator::And | Operator::Unless => 2,
            Operator::Add | Operator::Subtract => 4,
            Operator::Multiply | Operator::Divide | Operator::Modulo => 5,
            Operator::Power => 6,
            _ => 3,
        }
    }
}

/// `Err`: what is not understood.
pub(super) fn parse(text: &str) -> Result<Expr, String> {
    if text.len() > BYTES_MAX {
        return Err(format!("it is longer than {BYTES_MAX} bytes"));
    }
    let mut parser = Parser { tokens: tokens(text)?, at: 0, depth: 0, operators: 0 };
    let expr = parser.expr(0)?;
    match parser.peek() {
        None => Ok(expr),
        Some(rest) => Err(not_understood(rest)),
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    operators: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Result<Token, String> {
        self.at += 1;
        self.tokens.get(self.at - 1).cloned().ok_or_else(|| "it ends too early".to_owned())
    }

    fn takes(&mut self, sign: &str) -> bool {
        let is = matches!(self.peek(), Some(Token::Sign(found)) if *found == sign);
        self.at += usize::from(is);
        is
    }

    fn need(&mut self, sign: &str) -> Result<(), String> {
        if self.takes(sign) {
            return Ok(());
        }
        Err(self.peek().map_or_else(|| format!("it ends where `{sign}` should follow"), not_understood))
    }

    fn word(&self) -> Option<&str> {
        match self.peek() {
            Some(Token::Word(word)) => Some(word),
            _ => None,
        }
    }

    fn expr(&mut self, least: u8) -> Result<Expr, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("it is nested too deep".to_owned());
        }
        let mut left = self.unary()?;
        while let Some(operator) = self.operator().filter(|operator| operator.strength() >= least.max(1)) {
            self.at += 1;
            self.operators += 1;
            if self.operators > OPERATORS_MAX {
                return Err(format!("it has more than {OPERATORS_MAX} operators"));
            }
            if self.word() == Some("bool") {
                return Err("`bool` is not understood".to_owned());
            }
            let matching = self.matching()?;
            let right = self.expr(operator.strength() + u8::from(operator != Operator::Power))?;
            left = Expr::Binary(operator, matching, Box::new(left), Box::new(right));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn operator(&self) -> Option<Operator> {
        match self.peek()? {
            Token::Word(word) => Operator::of(&word.to_ascii_lowercase()),
            Token::Sign(sign) => Operator::of(sign),
            _ => None,
        }
    }

    fn matching(&mut self) -> Result<Grouping, String> {
        let grouping = self.grouping("on", "ignoring")?;
        match self.word() {
            Some(word @ ("group_left" | "group_right")) => Err(format!("`{word}` is not understood")),
            _ => Ok(grouping),
        }
    }

    fn grouping(&mut self, only: &str, without: &str) -> Result<Grouping, String> {
        let is_only = match self.word() {
            Some(word) if word.eq_ignore_ascii_case(only) => true,
            Some(word) if word.eq_ignore_ascii_case(without) => false,
            _ => return Ok(Grouping::None),
        };
        self.at += 1;
        self.need("(")?;
        let mut labels = Vec::new();
        while !self.takes(")") {
            match self.next()? {
                Token::Word(label) => labels.push(label),
                other => return Err(not_understood(&other)),
            }
            if !self.takes(",") {
                self.need(")")?;
                break;
            }
        }
        Ok(if is_only { Grouping::Only(labels) } else { Grouping::Without(labels) })
    }

    fn unary(&mut self) -> Result<Expr, String> {
        if self.takes("-") {
            // A power binds stronger than its sign.
            return Ok(Expr::Math(Math::Negative, Box::new(self.expr(Operator::Power.strength())?)));
        }
        self.takes("+");
        let expr = self.primary()?;
        match self.peek() {
            Some(Token::Range(_)) => self.peek().map_or(Ok(expr), |token| Err(not_understood(token))),
            Some(Token::Word(word)) if word == "offset" => Err("`offset` is not understood".to_owned()),
            _ => Ok(expr),
        }
    }

    fn primary(&mut self) -> Result<Expr, String> {
        match self.next()? {
            Token::Number(number) => Ok(Expr::Number(number)),
            Token::Sign("(") => {
                let expr = self.expr(0)?;
                self.need(")")?;
                Ok(expr)
            }
            Token::Sign("{") => {
                self.at -= 1;
                self.selector(String::new()).map(Expr::Select)
            }
            Token::Word(word) => self.named(word),
            other => Err(not_understood(&other)),
        }
    }

    fn named(&mut self, word: String) -> Result<Expr, String> {
        if let Some(aggregate) = Aggregate::of(&word) {
            let before = self.grouping("by", "without")?;
            if before != Grouping::None || matches!(self.peek(), Some(Token::Sign("("))) {
                self.need("(")?;
                let of = self.expr(0)?;
                self.need(")")?;
                let grouping = if before == Grouping::None { self.grouping("by", "without")? } else { before };
                return Ok(Expr::Aggregate(aggregate, grouping, Box::new(of)));
            }
        }
        if !matches!(self.peek(), Some(Token::Sign("("))) {
            return self.selector(word).map(Expr::Select);
        }
        self.at += 1;
        let expr = if let Some(over) = Over::of(&word) {
            let selector = self.named_selector()?;
            let Token::Range(range) = self.next()? else { return Err(format!("`{word}` needs a range such as `[1m]`")) };
            let seconds = prometheus_duration(&range).ok_or_else(|| not_understood(&Token::Range(range)))?.as_secs_f64();
            Expr::Over(over, selector, seconds)
        } else if word == "absent" {
            Expr::Absent(self.named_selector()?)
        } else if word == "histogram_quantile" {
            let Token::Number(quantile) = self.next()? else { return Err("`histogram_quantile` needs a number such as 0.99".to_owned()) };
            self.need(",")?;
            Expr::Quantile(quantile, Box::new(self.expr(0)?))
        } else if let Some(math) = Math::of(&word) {
            Expr::Math(math, Box::new(self.expr(0)?))
        } else {
            return Err(format!("the function `{word}` is not understood"));
        };
        self.need(")")?;
        Ok(expr)
    }

    fn named_selector(&mut self) -> Result<Selector, String> {
        match self.next()? {
            Token::Word(name) => self.selector(name),
            Token::Sign("{") => {
                self.at -= 1;
                self.selector(String::new())
            }
            other => Err(not_understood(&other)),
        }
    }

    fn selector(&mut self, name: String) -> Result<Selector, String> {
        let mut selector = Selector { name, matchers: Vec::new() };
        if self.takes("{") {
            while !self.takes("}") {
                self.matcher(&mut selector)?;
                if !self.takes(",") {
                    self.need("}")?;
                    break;
                }
            }
        }
        if selector.name.is_empty() {
            return Err("a selector without the name of a metric is not understood".to_owned());
        }
        Ok(selector)
    }

    fn matcher(&mut self, selector: &mut Selector) -> Result<(), String> {
        let Token::Word(label) = self.next()? else { return Err("a matcher does not begin with a label".to_owned()) };
        let Token::Sign(sign @ ("=" | "!=" | "=~" | "!~")) = self.next()? else {
            return Err(format!("the matcher of `{label}` has no `=`, `!=`, `=~` or `!~`"));
        };
        let Token::Text(text) = self.next()? else { return Err(format!("the matcher of `{label}` has no quoted text")) };
        if label == "__name__" {
            return if sign == "=" {
                selector.name = text;
                Ok(())
            } else {
                Err("a pattern of metric names is not understood".to_owned())
            };
        }
        let pattern = if sign.ends_with('~') {
            let regex = RegexBuilder::new(&format!("^(?s:{text})$")).size_limit(PATTERN_SIZE).build();
            Pattern::Regex(regex.map_err(|_| format!("the pattern `{text}` is not understood"))?)
        } else {
            Pattern::Text(text)
        };
        selector.matchers.push(Matcher { label, negative: sign.starts_with('!'), pattern });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse(text).map(|expr| format!("{expr:?}")).unwrap_err()
    }

    #[test]
    fn operators_bind_as_in_prometheus() {
        let shape = |text: &str| {
            fn shape(expr: &Expr) -> String {
                match expr {
                    Expr::Number(number) => number.to_string(),
                    Expr::Select(selector) => selector.name.clone(),
                    Expr::Binary(operator, _, left, right) => format!("({} {operator:?} {})", shape(left), shape(right)),
                    Expr::Math(math, of) => format!("{math:?}({})", shape(of)),
                    other => format!("{other:?}"),
                }
            }
            shape(&parse(text).unwrap())
        };
        for (text, expected) in [
            ("a + b * c > 2 and d or e", "((((a Add (b Multiply c)) Greater 2) And d) Or e)"),
            ("2 ^ 3 ^ 2", "(2 Power (3 Power 2))"),
            ("a - b - c", "((a Subtract b) Subtract c)"),
            ("-2 ^ 2 + a", "(Negative((2 Power 2)) Add a)"),
            ("a / (b + 1e-3) # why\n >= 1.5e2", "((a Divide (b Add 0.001)) GreaterEqual 150)"),
            ("sum", "sum"),
        ] {
            assert_eq!(shape(text), expected, "{text}");
        }
    }

    #[test]
    fn what_teams_write_is_understood() {
        for text in [
            "rate(http_requests_total{job=\"orders\", status=~\"5..\"}[1m]) > 0.5",
            "sum by (service) (rate(errors_total[30s])) / sum(rate(requests_total[30s])) by (service,) > 0.05",
            "avg without(instance) (queue_length{}) > 10 unless on(service) maintenance",
            "histogram_quantile(0.99, sum by (le) (rate(latency_seconds_bucket[1m]))) > 0.3",
            "absent(up{job='payment'})",
            "max_over_time(process_open_fds[2m30s]) >= 900",
            "{__name__=\"up\"} == 0",
        ] {
            assert!(parse(text).is_ok(), "{text}: {}", error(text));
        }
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (text, named) in [
            ("histogram_quantile(x, rate(x_bucket[5m])) > 1", "`histogram_quantile`"),
            ("topk(3, x)", "`topk`"),
            ("up offset 5m == 0", "`offset`"),
            ("a > bool 1", "`bool`"),
            ("a * on(x) group_left b", "`group_left`"),
            ("max_over_time(rate(x[1m])[5m:10s])", "needs a range"),
            ("max_over_time(x[5m:10s])", "`[5m:10s]`"),
            ("rate(x)", "needs a range"),
            ("rate(x[five])", "`[five]`"),
            ("a{b=~\"(\"}", "pattern"),
            ("{job=\"x\"}", "without the name"),
            ("a b", "`b`"),
            ("", "too early"),
            ("(a", "`)`"),
            ("a{b=\"", "not closed"),
            ("x @ 5", "`@`"),
        ] {
            assert!(error(text).contains(named), "{text}: {}", error(text));
        }
        assert!(error(&"(".repeat(5_000)).contains("deep"));
        assert!(error(&"-".repeat(5_000)).contains("deep"));
        assert!(error(&"1+".repeat(4_000)).contains("operators"));
        assert!(error(&"a".repeat(20_000)).contains("longer"));
    }
}
