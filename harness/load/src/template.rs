//! One text of a request, compiled once and rendered for each request. It must not know HTTP.
//!
//! Known inside: `seq` (counter of the load, from 1), `rand(low, high)` (both inclusive, seeded), `uuid` (one for the whole request, seeded) and
//! `run`. Undefined names are errors.

use minijinja::{
    Environment, Error, ErrorKind, State, UndefinedBehavior, Value,
    value::{Object, from_args},
};
use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

/// Instructions that rendering one text may take: far more than any request needs, and the end of a loop that has none.
const FUEL: u64 = 100_000;

/// A text that may hold `{{ … }}`.
pub(crate) enum Template {
    /// Nothing to render.
    Plain(String),
    /// Compiled, under the name `text`.
    Compiled(Box<Environment<'static>>),
}

impl Template {
    pub(crate) fn compile(text: &str) -> Result<Template, Error> {
        if !["{{", "{%", "{#"].iter().any(|mark| text.contains(mark)) {
            return Ok(Template::Plain(text.to_owned()));
        }
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.add_template_owned("text", text.to_owned())?;
        Ok(Template::Compiled(Box::new(environment)))
    }

    pub(crate) fn is_plain(&self) -> bool {
        matches!(self, Template::Plain(_))
    }

    pub(crate) fn render(&self, facts: &Value) -> Result<String, Error> {
        match self {
            Template::Plain(text) => Ok(text.clone()),
            Template::Compiled(environment) => environment.get_template("text")?.render(facts.clone()),
        }
    }
}

/// What the templates of one request know, as a context to render with.
pub(crate) fn facts(seq: u64, run: &Arc<str>, mut random: ChaCha8Rng) -> Value {
    let uuid = uuid(&mut random);
    let dice = Value::from_object(Dice(Mutex::new(random)));
    Value::from_object(Facts { seq, run: Arc::clone(run), uuid, dice })
}

#[derive(Debug)]
struct Facts {
    seq: u64,
    run: Arc<str>,
    uuid: String,
    dice: Value,
}

impl Object for Facts {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str()? {
            "seq" => Some(Value::from(self.seq)),
            "run" => Some(Value::from(&*self.run)),
            "uuid" => Some(Value::from(self.uuid.as_str())),
            "rand" => Some(self.dice.clone()),
            _ => None,
        }
    }
}

struct Dice(Mutex<ChaCha8Rng>);

impl fmt::Debug for Dice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rand(low, high)")
    }
}

impl Object for Dice {
    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, arguments: &[Value]) -> Result<Value, Error> {
        let (low, high): (i64, i64) = from_args(arguments)?;
        if low > high {
            let detail = format!("rand({low}, {high}) has nothing to choose from: write the smaller number first");
            return Err(Error::new(ErrorKind::InvalidOperation, detail));
        }
        let mut random = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Value::from(random.random_range(low..=high)))
    }
}

/// A version 4 UUID (RFC 9562).
fn uuid(random: &mut ChaCha8Rng) -> String {
    let (high, low) = (random.next_u64(), random.next_u64());
    let (high, low) = ((high & !0xf000) | 0x4000, (low & (u64::MAX >> 2)) | (1 << 63));
    format!("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32, (high >> 16) & 0xffff, high & 0xffff, low >> 48, low & 0xffff_ffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed;

    fn render(text: &str, seq: u64) -> Result<String, String> {
        let random = seed::of_request(&seed::stream(1, &["test"]), seq);
        let template = Template::compile(text).map_err(|error| error.to_string())?;
        template.render(&facts(seq, &"r-1".into(), random)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_text_without_marks_is_not_compiled_and_stays_as_it_is() {
        assert!(Template::compile("{\"sku\": 1}").unwrap().is_plain());
        assert_eq!(render("{\"sku\": 1}\n", 1).unwrap(), "{\"sku\": 1}\n");
    }

    #[test]
    fn the_known_names_are_filled_in() {
        assert_eq!(render("{\"sku\": {{ seq }}, \"run\": \"{{ run }}\"}", 42).unwrap(), "{\"sku\": 42, \"run\": \"r-1\"}");
    }

    #[test]
    fn random_numbers_lie_within_their_bounds_and_repeat_with_the_seed() {
        let drawn: Vec<i64> = (1..=500).map(|seq| render("{{ rand(1, 5) }}", seq).unwrap().parse().unwrap()).collect();
        assert!((1..=5).all(|number| drawn.contains(&number)) && drawn.iter().all(|number| (1..=5).contains(number)));
        assert_eq!(render("{{ rand(1, 1000000) }}-{{ uuid }}", 9).unwrap(), render("{{ rand(1, 1000000) }}-{{ uuid }}", 9).unwrap());
    }

    #[test]
    fn a_uuid_is_of_version_four_and_one_for_the_request() {
        let text = render("{{ uuid }} {{ uuid }}", 1).unwrap();
        let (first, second) = text.split_once(' ').unwrap();
        assert_eq!(first, second);
        let parts: Vec<&str> = first.split('-').collect();
        assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert!(parts[2].starts_with('4') && "89ab".contains(&parts[3][..1]), "{first}");
        assert_ne!(first, render("{{ uuid }}", 2).unwrap());
    }

    #[test]
    fn mistakes_are_named() {
        for (text, words) in [
            ("{{ seq", "unexpected end"),
            ("{{ sequence }}", "undefined"),
            ("{{ rand(5, 1) }}", "smaller number first"),
            ("{{ rand(5) }}", "missing argument"),
            ("{% for a in range(90000) %}{% for b in range(90000) %}{% endfor %}{% endfor %}", "fuel"),
        ] {
            let error = render(text, 1).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
