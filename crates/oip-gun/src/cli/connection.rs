//! How the client verbs find the node: by `--url`, else by the same settings that `serve` reads.

use clap::Args;
use url::Url;

use super::token;
use crate::client::{self, Client};
use crate::settings::{AdminToken, Flags, Layers, Setting, token_file};

/// The variable that names the node.
const URL_VARIABLE: &str = "OIP_GUN_URL";

/// The variable with a machine's own token, which goes before the operator's.
const TOKEN_VARIABLE: &str = "OIP_GUN_TOKEN";

/// Which node to talk to
#[derive(Debug, Args)]
#[command(next_help_heading = "Which node")]
pub(super) struct ConnectionArgs {
    /// Address of the node's API [env: OIP_GUN_URL] [default: bind and port of the settings, http://127.0.0.1:3005]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Settings file of the node [env: OIP_GUN_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<std::path::PathBuf>,
    /// Data folder of the node, where its admin token lies [env: OIP_GUN_DATA_DIR]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
}

impl ConnectionArgs {
    /// The client for the node that is meant.
    ///
    /// The token in `OIP_GUN_TOKEN`, else that of the settings, is sent to whatever node is named; the one in the data folder,
    /// which nobody gave on purpose, only to a node of this machine.
    pub(super) fn client(self) -> anyhow::Result<Client> {
        let variable = |name: &str| std::env::var(name).ok();
        let flags = Flags {
            config: self.config,
            values: self
                .data_dir
                .map(|data_dir| (Setting::DataDir, data_dir))
                .into_iter()
                .collect(),
        };
        let layers = Layers::collect(flags, &variable)?;
        let named = self
            .url
            .or_else(|| variable(URL_VARIABLE))
            .filter(|url| !url.trim().is_empty());
        let url = match named {
            Some(url) => url,
            None => format!("http://{}", layers.api_address()?),
        };
        let is_local = Url::parse(&url).is_ok_and(|url| client::is_loopback(&url));
        let own = variable(TOKEN_VARIABLE).filter(|token| !token.trim().is_empty());
        let own = own.map(|token| {
            AdminToken::new(token.trim()).map_err(|why| anyhow::anyhow!("{TOKEN_VARIABLE} {why}"))
        });
        let token = match own
            .transpose()?
            .map_or_else(|| layers.admin_token(), |own| Ok(Some(own)))?
        {
            Some(token) => Some(token),
            None if is_local => token::read(&token_file(layers.data_dir())),
            None => None,
        };
        Ok(Client::new(&url, token)?)
    }
}
