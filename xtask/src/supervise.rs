//! Runs one program as the head of its own process group and leaves nothing of it behind.
//!
//! Ctrl-C, SIGTERM and SIGHUP are passed on to the program, which is expected to stop its parts
//! itself. However it ends, killed included, whatever is still alive of its group is stopped
//! before [`run`] returns. The other direction is a pipe: the program's standard input reaches
//! its end when we die, and the program then stops by itself.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{
    Pid, Signal, WaitOptions, kill_process, kill_process_group, test_kill_process_group, wait,
};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// How often signals and the program's end are looked at.
const TICK: Duration = Duration::from_millis(20);
/// How long the program may take to stop after it was asked to.
const STOP: Duration = Duration::from_secs(15);
/// How long left-over processes may take after a polite signal, and after SIGKILL.
const SWEEP: Duration = Duration::from_secs(4);

/// How a supervised program ended.
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// Whether we had been asked to stop (Ctrl-C, SIGTERM or SIGHUP).
    pub asked: bool,
}

impl Ended {
    /// The exit code to pass on: the program's own, 1 when a signal ended it.
    pub fn code(&self) -> u8 {
        match self.status.code() {
            Some(code) => u8::try_from(code).unwrap_or(1),
            None => 1,
        }
    }
}

/// Runs `command` to its end.
pub fn run(mut command: Command) -> Result<Ended> {
    adopt_orphans();
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("signals cannot be had")?;
    let mut child = command
        .stdin(Stdio::piped())
        .process_group(0)
        .spawn()
        .with_context(|| format!("{} could not be started", command.get_program().display()))?;
    let ended = watch(&mut child, &mut signals);
    if let Some(group) = pid_of(&child) {
        sweep(group);
    }
    let ended = ended?;
    if let Some(signal) = ended.status.signal() {
        eprintln!("error: the program was ended from outside by signal {signal}");
    }
    Ok(ended)
}

/// Waits for the program's end, passing on requests to stop. The second request, or one that is
/// not followed in time, ends the program at once.
fn watch(child: &mut Child, signals: &mut Signals) -> Result<Ended> {
    let mut asked: Option<Instant> = None;
    loop {
        for _ in signals.pending() {
            if let Some(pid) = pid_of(child) {
                let signal = if asked.is_some() {
                    Signal::KILL
                } else {
                    Signal::TERM
                };
                let _ = kill_process(pid, signal);
            }
            asked.get_or_insert_with(Instant::now);
        }
        if let Some(status) = child.try_wait().context("the program was lost")? {
            return Ok(Ended {
                status,
                asked: asked.is_some(),
            });
        }
        if asked.is_some_and(|since| since.elapsed() > STOP) {
            let _ = child.kill();
        }
        sleep(TICK);
    }
}

/// Stops what is left of a group whose head has ended: politely first (SIGINT is Postgres's fast
/// shutdown), then by force.
fn sweep(group: Pid) {
    for signal in [Signal::INT, Signal::KILL] {
        if nothing_left(group) {
            return;
        }
        let _ = kill_process_group(group, signal);
        let since = Instant::now();
        while since.elapsed() < SWEEP && !nothing_left(group) {
            sleep(TICK);
        }
    }
}

/// Whether the group is empty and, where orphans come to us, none of them is alive. Postgres's
/// backends have sessions of their own, so the group alone does not tell.
fn nothing_left(group: Pid) -> bool {
    while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
    let no_children = wait(WaitOptions::NOHANG).is_err();
    test_kill_process_group(group).is_err() && (no_children || !cfg!(target_os = "linux"))
}

/// On Linux, makes the program's orphans our children, so that they can be waited for.
fn adopt_orphans() {
    #[cfg(target_os = "linux")]
    {
        let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    }
}

fn pid_of(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}
