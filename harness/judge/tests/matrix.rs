//! Who is blamed in runs of the real shop, whose mistakes are known.

#[path = "common/matrix.rs"]
mod matrix;

use matrix::{Recorded, blamed, matrix};

#[test]
fn the_service_that_a_defect_is_in_is_named_and_nobody_where_there_is_none() {
    let (mut first, mut among, mut operations, mut falsely) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for Recorded { name, defect, evidence, .. } in matrix() {
        let Some((_, truth)) = defect else {
            let culprits = shakedown_judge::accused(&evidence).remove(0);
            falsely.push((culprits.is_empty(), format!("{name}: {culprits:?}")));
            continue;
        };
        let blamed = blamed(&shakedown_judge::judge(&evidence).scenarios[0]);
        let said = format!("{name}: {blamed:?}");
        let is_right = |(service, _): &(String, String)| *service == truth.service;
        if !truth.operations.is_empty() {
            let right = blamed.first().is_some_and(|first| is_right(first) && truth.operations.contains(&first.1));
            operations.push((right, said.clone()));
        }
        first.push((blamed.first().is_some_and(is_right), said.clone()));
        among.push((blamed.iter().take(3).any(is_right), said));
    }
    let check = |what: &str, least: f64, answers: &[(bool, String)]| {
        let wrong: Vec<&String> = answers.iter().filter(|(right, _)| !right).map(|(_, said)| said).collect();
        let share = 1.0 - wrong.len() as f64 / answers.len() as f64;
        assert!(answers.len() >= 8 && share >= least, "{what}: {share:.2} of {}, not {least}: {wrong:#?}", answers.len());
    };
    check("blamed first", 0.90, &first);
    check("among three", 0.98, &among);
    check("operation", 0.80, &operations);
    check("nobody where nothing is wrong", 0.99, &falsely);
}
