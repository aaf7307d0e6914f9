//! What a script says.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::spawn_blocking;
use weir_config::model::health::ScriptCheck;
use weir_config::model::{self, Notifications, ScriptUser};
use weir_health::verdict::{Outcome, Reading, WeightWord};
use weir_host::script::{Account, AccountError, Ending, Script, run};

use crate::Finding;
use crate::talk::{Fault, Talk};

/// Who runs scripts where nobody is named, if there is such a user.
const DEFAULT_USER: &str = "keepalived_script";
/// Exit codes of a dynamic script from here on are weights.
const FIRST_WEIGHT: u8 = 2;

pub async fn check(talk: &mut Talk<'_>, check: &ScriptCheck) -> Finding {
    let script = talk.prober.accounts.script(&check.script).await?;
    let at_most = talk.timeout();
    let ending = run(&script, at_most).await.map_err(Fault::ours)?;
    talk.tell("script", || format!("{ending:?}"));
    let passed = |weight| {
        let reading = Reading {
            weight,
            ..Reading::default()
        };
        Ok((Outcome::Passed, reading))
    };
    match ending {
        // Dynamic, it also takes back what it said before.
        Ending::Exited(0) => passed(check.dynamic.then_some(WeightWord::Configured)),
        Ending::Exited(code) if check.dynamic && code >= FIRST_WEIGHT => {
            passed(Some(WeightWord::Is(u32::from(code - FIRST_WEIGHT))))
        }
        Ending::Exited(code) => Err(Fault::Servers(format!("the script exits with {code}"))),
        Ending::Signalled(signal) => {
            Err(Fault::Servers(format!("signal {signal} ended the script")))
        }
        Ending::TimedOut => Err(Fault::Servers(format!(
            "the script did not end within {at_most:?}"
        ))),
    }
}

/// Who runs scripts. Looking a user up may ask a server: that is done once for each.
pub struct Accounts {
    default: Option<ScriptUser>,
    secure: bool,
    known: Arc<Mutex<HashMap<Option<ScriptUser>, Account>>>,
}

impl Accounts {
    pub fn new(notifications: &Notifications) -> Self {
        Self {
            default: notifications.script_user.clone(),
            secure: notifications.script_security,
            known: Arc::default(),
        }
    }

    /// Users are looked up anew.
    pub fn forget(&self) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.clear();
    }

    async fn script(&self, configured: &model::Script) -> Result<Script, Fault> {
        let mut words = configured.command.iter();
        let program = words.next().map(PathBuf::from).unwrap_or_default();
        Ok(Script {
            program,
            arguments: words.map(OsString::from).collect(),
            account: self.account(configured).await?,
            secure: self.secure,
        })
    }

    async fn account(&self, configured: &model::Script) -> Result<Account, Fault> {
        let user = configured.user.as_ref().or(self.default.as_ref()).cloned();
        let known = |known: &Mutex<HashMap<_, _>>| {
            let known = known.lock().unwrap_or_else(PoisonError::into_inner);
            known.get(&user).copied()
        };
        if let Some(account) = known(&self.known) {
            return Ok(account);
        }
        let wanted = user.clone();
        let found = spawn_blocking(move || find(wanted.as_ref()))
            .await
            .map_err(Fault::ours)?;
        let account = found.map_err(Fault::ours)?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(user, account);
        Ok(account)
    }
}

fn find(user: Option<&ScriptUser>) -> Result<Account, AccountError> {
    match user {
        Some(user) => Account::find(&user.user, user.group.as_deref()),
        None => match Account::find(DEFAULT_USER, None) {
            Err(AccountError::NoUser(_)) => Ok(Account::ours()),
            other => other,
        },
    }
}
