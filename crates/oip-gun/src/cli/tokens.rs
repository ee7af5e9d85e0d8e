//! `oip-gun tokens create|list|revoke`: tokens with a scope for machines, on the running node.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::connection::ConnectionArgs;
use super::output::{self, Output, printable};
use super::table::Table;

const EXAMPLES: &str = "\
Examples:
  oip-gun tokens create --scope publish --name backup-job --expires 90d
  oip-gun tokens list
  oip-gun tokens revoke backup-job
  OIP_GUN_TOKEN=oipgun_… oip-gun publish post.json --type post   as that machine

Scopes: read (what is public), publish (also publish, and edit and delete what was published under the
token's name), admin (everything). A token is shown once; the node keeps a hash of it.";

/// Tokens for machines, with a scope and an end
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct TokensArgs {
    #[command(subcommand)]
    verb: TokensVerb,
}

#[derive(Debug, Subcommand)]
enum TokensVerb {
    /// Make a token; it is shown this once
    Create(CreateArgs),
    /// Show names, scopes and ends
    List(ConnectionArgs),
    /// End a token at once
    Revoke(RevokeArgs),
}

/// What the token is for
#[derive(Debug, Args)]
struct CreateArgs {
    /// What its holder may do
    #[arg(long, value_enum)]
    scope: ScopeArg,
    /// Its name, such as backup-job: letters, digits, -, _ and dots
    #[arg(long)]
    name: String,
    /// When it ends: a number and s, m, h or d, such as 90d [default: never]
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    expires: Option<u64>,
    #[command(flatten)]
    connection: ConnectionArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ScopeArg {
    /// Read what is public
    Read,
    /// Publish, and edit and delete what was published under the token's name
    Publish,
    /// Everything
    Admin,
}

/// Which token
#[derive(Debug, Args)]
struct RevokeArgs {
    /// The token's name
    name: String,
    #[command(flatten)]
    connection: ConnectionArgs,
}

pub(super) async fn run(args: TokensArgs, output: Output) -> anyhow::Result<ExitCode> {
    match args.verb {
        TokensVerb::Create(create) => {
            let scope = match create.scope {
                ScopeArg::Read => "read",
                ScopeArg::Publish => "publish",
                ScopeArg::Admin => "admin",
            };
            let request = json!({
                "name": create.name, "scope": scope, "expiresInSeconds": create.expires,
            });
            let client = create.connection.client()?;
            let made: Value = client.post("/api/tokens", &[], request.to_string()).await?;
            match output {
                Output::Json => output::json(&made)?,
                Output::Text => {
                    eprintln!(
                        "the token {} of scope {scope}, shown this once (it ends: {}):",
                        printable(&create.name),
                        made["expiresAt"].as_str().unwrap_or("never")
                    );
                    output::line(made["token"].as_str().unwrap_or_default())?;
                }
            }
        }
        TokensVerb::List(connection) => {
            let answer: Value = connection.client()?.get("/api/tokens", &[]).await?;
            if output == Output::Json {
                output::json(&answer["tokens"])?;
                return Ok(ExitCode::SUCCESS);
            }
            let mut table = Table::new(["NAME", "SCOPE", "MADE", "ENDS"]);
            for token in answer["tokens"].as_array().into_iter().flatten() {
                let text = |name: &str| token[name].as_str().map(str::to_owned);
                let end = text("expiresAt").unwrap_or_else(|| "never".to_owned());
                table.add([
                    text("name").unwrap_or_default(),
                    text("scope").unwrap_or_default(),
                    text("createdAt").unwrap_or_default(),
                    match token["expired"].as_bool() {
                        Some(true) => format!("{end} (ended)"),
                        _ => end,
                    },
                ]);
            }
            output::line(&table.text())?;
        }
        TokensVerb::Revoke(revoke) => {
            let path = format!("/api/tokens/{}", revoke.name);
            let answer: Value = revoke.connection.client()?.delete(&path).await?;
            match output {
                Output::Json => output::json(&answer)?,
                Output::Text => output::line(&format!("revoked {}", printable(&revoke.name)))?,
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A time such as `90d`, in seconds. Its bounds are the node's.
fn seconds(text: &str) -> Result<u64, String> {
    let cure = || "give a whole number and s, m, h or d, such as 90d".to_owned();
    let unit = text.chars().last().ok_or_else(cure)?;
    let unit_s: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return Err(cure()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| cure())?;
    number.checked_mul(unit_s).ok_or_else(cure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_numbers_with_a_unit() {
        for (text, expected) in [("1s", 1), ("5m", 300), ("2h", 7_200), ("90d", 7_776_000)] {
            assert_eq!(seconds(text), Ok(expected));
        }
        for text in [
            "",
            "d",
            "90",
            "-1d",
            "1.5h",
            "1 d",
            "1w",
            "99999999999999999999d",
            "é",
        ] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
