//! Going through a queue directory, its subdirectories included, in no order.

use super::id::QueueId;
use super::state::Queue;
use std::fs::ReadDir;
use std::path::PathBuf;

/// Iterates the message files of a directory as (id, path). Names that are no queue id (temporary files among them)
/// are passed over.
pub struct Walk {
    stack: Vec<(ReadDir, usize)>,
    depth: usize,
}

/// Starts a walk of `name` ("incoming", "deferred", "defer"); a directory that cannot be read is empty.
pub fn walk(queue: &Queue, name: &str) -> Walk {
    let depth = queue.depth(name);
    let stack = std::fs::read_dir(queue.top(name)).map(|dir| (dir, 0)).into_iter().collect();
    Walk { stack, depth: depth.max(1) }
}

impl Iterator for Walk {
    type Item = (QueueId, PathBuf);

    fn next(&mut self) -> Option<Self::Item> {
        while let Some((dir, level)) = self.stack.last_mut() {
            let level = *level;
            let Some(entry) = dir.next() else {
                self.stack.pop();
                continue;
            };
            let Ok(entry) = entry else { continue };
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                // Files may lie at any depth after hash_queue_depth was changed.
                if level < self.depth.max(16)
                    && let Ok(below) = std::fs::read_dir(entry.path())
                {
                    self.stack.push((below, level + 1));
                }
            } else if kind.is_file()
                && let Some(id) = entry.file_name().to_str().and_then(QueueId::parse)
            {
                return Some((id, entry.path()));
            }
        }
        None
    }
}
