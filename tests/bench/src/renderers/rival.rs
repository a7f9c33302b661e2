//! Another renderer, in a process of its own that waits for orders.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use super::{Picture, Renderer};
use crate::plan::Kind;

/// The others, by what they are called in the rows.
const RIVALS: [&str; 2] = ["mitsuba", "cycles"];

/// One of them.
pub(super) struct Rival {
    key: &'static str,
    name: String,
    side: u32,
    /// Where it writes the light of every pixel.
    light: PathBuf,
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Rival {
    /// All of them, none where they are not installed and nothing is to be installed.
    pub(super) fn all(kind: Kind, scene: &Path, side: u32, bounces: u32, folder: &Path) -> Result<Vec<Self>> {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("renderers");
        let mut setup = Command::new(scripts.join("setup"));
        if kind == Kind::Quick {
            setup.arg("--where");
        }
        let said = setup.stderr(Stdio::inherit()).output().context("renderers/setup does not run")?;
        ensure!(said.status.success(), "renderers/setup fails");
        let home = String::from_utf8(said.stdout)?;
        match home.trim() {
            "" => Ok(Vec::new()),
            home => RIVALS
                .iter()
                .map(|key| Self::start(key, &scripts, Path::new(home), scene, side, bounces, folder))
                .collect(),
        }
    }

    fn start(
        key: &'static str,
        scripts: &Path,
        home: &Path,
        scene: &Path,
        side: u32,
        bounces: u32,
        folder: &Path,
    ) -> Result<Self> {
        let threads = std::thread::available_parallelism()?.get();
        let mut child = Command::new(home.join("python/bin/python"))
            .env("CPC_RENDERERS", home)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .arg(scripts.join(format!("{key}_rival.py")))
            .arg(scene)
            .args([side.to_string(), side.to_string(), bounces.to_string(), threads.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::from(fs::File::create(folder.join(format!("{key}.log")))?))
            .spawn()
            .with_context(|| format!("{key} does not start"))?;
        let orders = child.stdin.take().context("its input is a pipe")?;
        let answers = BufReader::new(child.stdout.take().context("its output is a pipe")?);
        let light = folder.join(format!("{key}.light"));
        let mut rival = Self { key, name: String::new(), side, light, child, orders, answers };
        rival.name = rival.line().with_context(|| said(&folder.join(format!("{key}.log"))))?;
        Ok(rival)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        ensure!(line.ends_with('\n'), "{} has ended", self.key);
        Ok(line.trim_end().to_owned())
    }
}

/// The end of what a program said before it ended.
fn said(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(10).collect();
    lines.into_iter().rev().collect::<Vec<&str>>().join("\n")
}

impl Renderer for Rival {
    fn key(&self) -> &'static str {
        self.key
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn render(&mut self, samples: u32, seed: u32) -> Result<(Picture, (f64, f64))> {
        writeln!(self.orders, "{samples}\t{seed}\t{}", self.light.display())?;
        let answer = self.line()?;
        let (wall, work) = answer.split_once(' ').with_context(|| format!("{} says {answer:?}", self.key))?;
        let times = (wall.parse()?, work.parse()?);
        let bytes = fs::read(&self.light)?;
        let floats: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let picture = Picture { side: self.side, pixels: floats.as_chunks::<3>().0.to_vec() };
        ensure!(picture.is_whole(), "{} gives another picture", self.key);
        Ok((picture, times))
    }
}

impl Drop for Rival {
    fn drop(&mut self) {
        // It may have ended already, and then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
