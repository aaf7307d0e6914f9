//! Does to ours what was done to the real ipvsadm.

use weir_ipvsadm::{Director, Invocation, Stream};

use super::machine::RecordedNames;
use super::table::{Program, Recorded};

/// Does what was done; returns exit code, standard output and standard error.
pub fn run(director: &mut dyn Director, recorded: &Recorded) -> (i32, String, String) {
    let (mut stdout, mut stderr) = (String::new(), String::new());
    let mut invocation = Invocation {
        program: "ipvsadm",
        names: &RecordedNames,
        director,
        print: &mut |stream, text| match stream {
            Stream::Output => stdout += text,
            Stream::Error => stderr += text,
        },
    };
    let (arguments, mut input) = (&recorded.arguments[..], recorded.input.iter().cloned());
    let code = match recorded.program {
        Program::Ipvsadm => invocation.run(arguments, &mut input),
        Program::Save => invocation.run_save(arguments),
        Program::Restore => invocation.run_restore(&mut input),
    };
    (i32::from(code), stdout, stderr)
}

/// Does what was done; says what differs.
pub fn difference(director: &mut dyn Director, recorded: &Recorded) -> Option<String> {
    let (code, stdout, stderr) = run(director, recorded);
    let same = code == recorded.code && stdout == recorded.stdout && stderr == recorded.stderr;
    (!same).then(|| {
        format!(
            "{:?}\n  recorded {} {:?}\n{}  here     {code} {stderr:?}\n{stdout}",
            recorded.arguments, recorded.code, recorded.stderr, recorded.stdout
        )
    })
}
