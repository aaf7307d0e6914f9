//! What is said on standard output, a line each, fields apart by tabs:
//! `sample CASE CONTENDER VALUE`, `refused CASE CONTENDER REASON`, `note TEXT`. Other lines are progress, for people.

/// A figure.
pub fn sample(case: &str, contender: &str, value: f64) {
    println!("sample\t{case}\t{contender}\t{value}");
}

/// A figure that is not one, since packets were lost or went elsewhere.
pub fn refused(case: &str, contender: &str, reason: &str) {
    println!(
        "refused\t{case}\t{contender}\t{}",
        reason.replace(['\t', '\n'], " ")
    );
}

/// A version or a setting.
pub fn note(text: &str) {
    println!("note\t{}", text.trim().replace(['\t', '\n'], " "));
}

/// Something for whoever waits.
pub fn progress(text: &str) {
    println!("{text}");
}
