//! What the queue lists: one JSON object a line from showq to postqueue, in the form that `postqueue -j` documents,
//! so that one format serves both.

use serde::{Deserialize, Serialize};

/// One queued message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Listed {
    pub queue_name: String,
    pub queue_id: String,
    /// Seconds since the epoch.
    pub arrival_time: u64,
    pub message_size: u64,
    pub forced_expire: bool,
    pub sender: String,
    pub recipients: Vec<ListedRecipient>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListedRecipient {
    pub address: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_reason: Option<String>,
}
