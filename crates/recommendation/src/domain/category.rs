//! Category paths.

/// Returns a category path in normal form: levels trimmed, empty ones left out, parted by one "/".
pub(crate) fn normal_form(path: &str) -> String {
    let levels: Vec<&str> = path.split('/').map(str::trim).filter(|level| !level.is_empty()).collect();
    levels.join("/")
}

/// Whether `category` is `ancestor` or lies below it; both in normal form. Everything lies below "".
pub(crate) fn is_within(category: &str, ancestor: &str) -> bool {
    if ancestor.is_empty() {
        return true;
    }
    match category.strip_prefix(ancestor) {
        Some(rest) => rest.is_empty() || rest.starts_with('/'),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_category_holds_itself_and_what_is_below_by_level() {
        assert!(is_within("Home/Candles", "Home"));
        assert!(is_within("Home/Candles", "Home/Candles"));
        assert!(is_within("Home/Candles", ""));
        assert!(!is_within("Home/CandlesXL", "Home/Candles"));
        assert!(!is_within("Home", "Home/Candles"));
    }

    #[test]
    fn paths_are_brought_to_one_form() {
        assert_eq!(normal_form(" /Home / Candles//"), "Home/Candles");
        assert_eq!(normal_form(" / "), "");
    }
}
