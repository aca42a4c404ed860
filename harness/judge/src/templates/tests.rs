use super::*;
use proptest::prelude::*;

fn mined(lines: &[&str]) -> (Miner, Vec<TemplateId>) {
    let mut miner = Miner::new();
    let ids: Vec<TemplateId> = lines.iter().map(|line| miner.add(line)).collect();
    let ids = ids.into_iter().map(|id| miner.settled(id)).collect();
    (miner, ids)
}

/// The template of a line that comes alone.
fn masked(line: &str) -> String {
    let (miner, ids) = mined(&[line]);
    miner.template(ids[0])
}

#[test]
fn values_are_hidden_and_words_are_not() {
    let cases = [
        ("took 12.5ms for order 17", "took <*> for order <*>"),
        ("a 3f2504e0-4f89-11d3-9a0c-0305e82c3301 b", "a <*> b"),
        ("peer 10.1.2.3:50010 of fe80::1:2 and 00:1b:44:11:3a:b7", "peer <*> of <*> and <*>"),
        ("at 2026-11-22T02:22:49.123Z began", "at <*> began"),
        ("Nov 22 02:22:49 host sshd[311]: closed", "<*> host sshd[<*>]: closed"),
        ("Sun Nov 22 02:22:49 2026 closed", "<*> closed"),
        ("May he march on", "May he march on"),
        ("read /var/lib/data/x.wal: failed", "read <*>: failed"),
        ("get https://shop.example/cart?id=7&x=y now", "get <*> now"),
        ("open C:\\Users\\ann\\x.txt now", "open <*> now"),
        ("Input/output error on tree/torus", "Input/output error on tree/torus"),
        ("mail to ann@example.com sent", "mail to <*> sent"),
        (
            "db.internal, proxy.cse.example.hk and cache.local:6379 by com.example.shop.Cart and main.rs",
            "<*> and <*> by com.example.shop.Cart and main.rs",
        ),
        ("commit deadbeefcafe done", "commit <*> done"),
        ("user 'ann' or \"bob\" left", "user '<*>' or \"<*>\" left"),
        ("can't open the user's file", "can't open the user's file"),
        ("level=info msg=\"order placed\" user=\"ann\" n=3", "level=info msg=\"order placed\" user=\"ann\" n=<*>"),
        ("{\"level\": \"info\", \"msg\": \"order placed\", \"n\": 3}", "{\"level\": \"info\", \"msg\": \"order placed\", \"n\": <*>}"),
        ("got \"GET /cart HTTP/1.1\" 200 from \"Mozilla/5.0 (X11; Linux)\"", "got \"GET <*> from \"<*>\""),
        ("offset -17 of +3 and 0x1f, 45% used", "offset <*> of <*> and <*> used"),
        ("sent 1207 bytes (1.2 KB) in 3 ms to us", "sent <*>) in <*> to us"),
        ("nodes 1, 2, 3 and 4", "nodes <*> and <*>"),
        ("pröblem bei Ümläuten 7", "pröblem bei Ümläuten <*>"),
        ("", ""),
    ];
    for (line, template) in cases {
        assert_eq!(masked(line), template, "{line}");
    }
}

#[test]
fn a_statement_is_one_template_whatever_its_values_and_each_level_has_its_own() {
    let (miner, ids) = mined(&[
        "2026-11-22T04:02:11Z INFO orders: placed order 17 for 3 items",
        "2026-11-22T04:02:12Z INFO orders: placed order 18 for 12 items",
        "2026-11-22T04:02:13Z ERROR orders: placed order 19 for 12 items",
    ]);
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[0], ids[2]);
    assert_eq!(miner.template(ids[2]), "<*> ERROR orders: placed order <*> for <*> items");
}

#[test]
fn a_list_is_the_same_however_long_it_is() {
    let (_, ids) = mined(&["peers are 10.0.0.1:80, 10.0.0.2:80 now", "peers are 10.0.0.1:80 now", "peers are 1, 2, 3, 4 now"]);
    assert!(ids.iter().all(|id| *id == ids[0]));
}

#[test]
fn what_one_variant_alone_says_has_a_template_of_its_own() {
    let mut miner = Miner::new();
    let baseline = miner.add("payment of order 17 done in 12 ms");
    let [same, new] = ["payment of order 18 done in 90 ms", "payment of order 19 failed: pool timed out"].map(|line| miner.add(line));
    assert_eq!(miner.settled(baseline), miner.settled(same));
    assert_ne!(miner.settled(baseline), miner.settled(new));
}

#[test]
fn a_few_words_at_one_place_are_different_messages_and_many_are_a_value() {
    let line = |word: &str| format!("session {word} for account");
    let words = ["opened", "closed", "renewed", "lost", "ended", "left", "begun"];
    let mut miner = Miner::new();
    let few: Vec<TemplateId> = words.iter().map(|word| miner.add(&line(word))).collect();
    assert!(few.iter().all(|id| miner.settled(*id) == *id) && few.windows(2).all(|pair| pair[0] < pair[1]));
    let last = miner.add(&line("stolen"));
    assert!(few.iter().all(|id| miner.settled(*id) == last), "ids that were given before settle on the same");
    assert_eq!(miner.template(few[3]), "session <*> for account");
    assert_eq!(miner.add(&line("found")), last);
}

#[test]
fn a_flood_of_messages_is_bounded_and_counted() {
    let letters = |mut number: usize| {
        let mut word = String::new();
        while number > 0 {
            word.push(char::from(b'g' + (number % 20) as u8));
            number /= 20;
        }
        word
    };
    let mut miner = Miner::new();
    let flood = 3 * TEMPLATES_MAX;
    for number in 1..=flood {
        miner.add(&format!("{} {} {}", letters(number), letters(number * 7919), letters(number * 104_729)));
    }
    assert!(miner.len() <= TEMPLATES_MAX);
    assert!(miner.overflow().lines as usize >= flood - TEMPLATES_MAX && miner.overflow().cut == 0);
    assert_eq!(miner.template(TemplateId::OTHER), "<*>");
}

#[test]
fn of_a_line_without_end_the_beginning_is_read_and_shown() {
    let mut miner = Miner::new();
    let [long, wordy] = ["word".repeat(10_000), "word ".repeat(10_000)].map(|line| miner.add(&line));
    assert_eq!(miner.overflow(), Overflow { lines: 0, cut: 2 });
    assert!(miner.template(long).len() <= SHOWN_MAX && miner.template(wordy).len() <= SHOWN_MAX);
}

#[test]
fn an_id_that_was_never_given_is_no_template() {
    assert_eq!(Miner::new().template(TemplateId(7)), "");
    assert!(Miner::new().is_empty());
}

/// Lines such as hostile services write: of few words, so that they meet, and of anything at all.
fn lines() -> impl Strategy<Value = Vec<String>> {
    let word = prop_oneof![
        Just("a"),
        Just("bb"),
        Just("INFO"),
        Just("17"),
        Just("=\""),
        Just("\\\\x"),
        Just("://"),
        Just("'"),
        Just("…"),
        Just("::")
    ];
    let few = prop::collection::vec(word, 0..8).prop_map(|words| words.join(" "));
    prop::collection::vec(prop_oneof![few, any::<String>(), "[a-c0-9 /:.@%\"'\\\\-]{0,40}"], 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_a_line_is_of_its_template(lines in lines()) {
        let mut miner = Miner::new();
        let ids: Vec<TemplateId> = lines.iter().map(|line| miner.add(line)).collect();
        for (line, id) in lines.iter().zip(ids) {
            let id = miner.settled(id);
            prop_assert!((id.0 as usize) < miner.len() && miner.settled(id) == id);
            let mut words = Vec::new();
            cut(line, &mut words);
            let symbols = &miner.templates[id.0 as usize].symbols;
            prop_assert_eq!(symbols.len(), words.len());
            prop_assert!(symbols.iter().zip(&words).all(|(symbol, word)| *symbol == HIDDEN || *symbol == word.symbol), "{:?}", line);
            prop_assert!(miner.template(id).len() <= 4 * SHOWN_MAX);
        }
    }

    #[test]
    fn words_are_pieces_of_their_line_in_order(line in any::<String>()) {
        let mut words = Vec::new();
        cut(&line, &mut words);
        let mut end = 0;
        for word in words {
            prop_assert!(word.start as usize >= end && line.get(word.start as usize..word.end as usize).is_some_and(|text| !text.is_empty()));
            end = word.end as usize;
        }
    }

    #[test]
    fn the_same_lines_give_the_same_templates(lines in lines()) {
        let mine = || {
            let mut miner = Miner::new();
            let ids: Vec<TemplateId> = lines.iter().map(|line| miner.add(line)).collect();
            ids.into_iter().map(|id| (id, miner.template(id))).collect::<Vec<_>>()
        };
        prop_assert_eq!(mine(), mine());
    }
}
