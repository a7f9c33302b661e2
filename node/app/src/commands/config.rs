//! `cpc config`: what the node's configuration says, where each value comes from, and what may be chosen.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::{Context, Failure, Output};
use crate::config::{KEYS, Key, NodeConfig, Origin, markdown};

/// Shows the node's configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Every key with its value
    Show(ShowArgs),
    /// Every key that may be chosen, with its default
    Keys {
        /// As the table of the guide
        #[arg(long)]
        markdown: bool,
    },
}

/// What `cpc config show` takes.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Also where each value comes from
    #[arg(long)]
    origin: bool,
    /// Only what was chosen
    #[arg(long)]
    chosen: bool,
}

/// Runs one of them.
pub fn run(command: &ConfigCommand, context: &Context) -> Result<(), Failure> {
    match command {
        ConfigCommand::Show(args) => show(args, context),
        ConfigCommand::Keys { markdown: true } => context.print(markdown().trim_end()),
        ConfigCommand::Keys { markdown: false } => keys(context),
    }
}

fn show(args: &ShowArgs, context: &Context) -> Result<(), Failure> {
    let config = context.node_config(&[])?;
    let rows: Vec<_> = config.shown().filter(|(.., origin)| !args.chosen || *origin != Origin::Default).collect();
    if context.output == Output::Json {
        let row = |(key, value, origin): &(&Key, String, Origin)| {
            let told = if args.origin { json!({ "value": value, "origin": origin.to_string() }) } else { json!(value) };
            (key.name.to_owned(), told)
        };
        return context.json(json!({ "config": Map::from_iter(rows.iter().map(row)) }));
    }
    let names = rows.iter().map(|(key, ..)| key.name.len()).max().unwrap_or(0);
    let values = rows.iter().map(|(_, value, _)| value.len()).max().unwrap_or(0);
    for (key, value, origin) in rows {
        let value = if value.is_empty() { "none" } else { &value };
        if args.origin {
            context.print(&format!("{:names$}  {value:values$}  {origin}", key.name))?;
        } else {
            context.print(&format!("{:names$}  {value}", key.name))?;
        }
    }
    Ok(())
}

fn keys(context: &Context) -> Result<(), Failure> {
    let defaults = NodeConfig::default();
    let rows: Vec<_> = defaults.shown().collect();
    if context.output == Output::Json {
        let row = |(key, value, _): &(&Key, String, Origin)| {
            json!({
                "key": key.name, "variable": key.variable(), "kind": key.kind, "default": value, "help": key.help,
            })
        };
        return context.json(json!({ "keys": rows.iter().map(row).collect::<Vec<Value>>() }));
    }
    let names = KEYS.iter().map(|key| key.name.len()).max().unwrap_or(0);
    for (key, value, _) in rows {
        let value = if value.is_empty() { "none" } else { &value };
        context.print(&format!("{:names$}  {} (a {}; {value})", key.name, key.help, key.kind))?;
    }
    Ok(())
}
