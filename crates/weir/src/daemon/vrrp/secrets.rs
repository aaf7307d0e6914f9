//! Secrets that a configuration leaves in files of their own.

use std::fs;

use weir_config::model::vrrp::{Authentication, HmacKey, Vrrp};

/// Reads what is in files. A key that cannot be read is no key: what it should protect is refused, and said so.
pub(super) fn read(mut wanted: Vrrp) -> Vrrp {
    for instance in &mut wanted.instances {
        let name = &instance.name;
        if let Authentication::Hmac { keys, .. } = &mut instance.authentication {
            keys.retain_mut(|key| match fill(key) {
                Ok(()) => true,
                Err(why) => {
                    tracing::error!("instance {name}: key {} is left out: {why}", key.id);
                    false
                }
            });
        }
    }
    wanted
}

fn fill(key: &mut HmacKey) -> Result<(), String> {
    let Some(file) = &key.file else {
        return Ok(());
    };
    let text = fs::read_to_string(file);
    let text = text.map_err(|error| format!("{}: {error}", file.display()))?;
    let (least, most) = (HmacKey::LENGTHS.start(), HmacKey::LENGTHS.end());
    key.secret = HmacKey::secret_of(&text).ok_or_else(|| {
        format!(
            "{}: expected {least} to {most} bytes, or hex: and as many pairs of digits",
            file.display()
        )
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use weir_config::file::parse;
    use weir_config::model::vrrp::Authentication;

    #[test]
    fn keys_come_from_files() {
        let directory = tempfile::tempdir().expect("a directory");
        let at = |name: &str| directory.path().join(name);
        std::fs::write(at("text"), format!("{}\n", "k".repeat(32))).expect("a file");
        std::fs::write(at("hex"), format!("hex:{}", "0a".repeat(32))).expect("a file");
        std::fs::write(at("short"), "secret").expect("a file");
        let files = ["text", "hex", "short", "missing"];
        let keys = files.iter().enumerate();
        let keys: Vec<String> = keys
            .map(|(id, name)| format!("{{ id = {id}, secret_file = {:?} }}", at(name)))
            .collect();
        let text = format!(
            "[[vrrp.instance]]\nname = \"v\"\ninterface = \"eth0\"\nrouter_id = 51\n\
             authentication = {{ keys = [{}] }}\n",
            keys.join(", ")
        );
        let config = parse(&text, "weir.toml").expect("right");
        let wanted = super::read(config.vrrp);
        let Authentication::Hmac { keys, .. } = &wanted.instances[0].authentication else {
            panic!("keys");
        };
        let keys: Vec<_> = keys
            .iter()
            .map(|key| (key.id, key.secret.clone()))
            .collect();
        assert_eq!(keys, [(0, vec![b'k'; 32]), (1, vec![10; 32])]);
    }
}
