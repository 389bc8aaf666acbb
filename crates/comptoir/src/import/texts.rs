use std::{collections::HashMap, sync::Arc};

/// Number of a text in [`Texts`]; 0 is the empty text.
pub(super) type TextId = u32;

/// Texts that repeat, each kept once: a file names a customer in hundreds of lines.
#[derive(Debug)]
pub(super) struct Texts {
    ids: HashMap<Arc<str>, TextId>,
    texts: Vec<Arc<str>>,
}

impl Default for Texts {
    fn default() -> Self {
        let empty: Arc<str> = Arc::from("");
        Self { ids: HashMap::from([(empty.clone(), 0)]), texts: vec![empty] }
    }
}

impl Texts {
    /// Returns the number of a text.
    pub(super) fn id(&mut self, text: &str) -> TextId {
        if let Some(id) = self.ids.get(text) {
            return *id;
        }
        let id = TextId::try_from(self.texts.len()).expect("memory ends before 2^32 texts");
        let text: Arc<str> = text.into();
        self.ids.insert(text.clone(), id);
        self.texts.push(text);
        id
    }

    /// Returns the text with this number.
    pub(super) fn get(&self, id: TextId) -> &str {
        &self.texts[id as usize]
    }
}
