//! Holds the contracts to buf's STANDARD and COMMENTS rules, as far as they can be told from the descriptors.

use std::path::Path;

use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto, source_code_info::Location};

struct Checker<'a> {
    file: &'a FileDescriptorProto,
    faults: Vec<String>,
}

fn compile() -> Vec<FileDescriptorProto> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    let mut files = Vec::new();
    for area in std::fs::read_dir(root.join("comptoir")).unwrap() {
        let folder = area.unwrap().path().join("v1");
        for file in std::fs::read_dir(folder).unwrap() {
            files.push(file.unwrap().path());
        }
    }
    files.sort();
    let descriptors = protox::Compiler::new([&root])
        .unwrap()
        .include_source_info(true)
        .open_files(&files)
        .unwrap()
        .file_descriptor_set();
    descriptors.file.into_iter().filter(|file| file.package().starts_with("comptoir.")).collect()
}

fn is_snake(name: &str, upper: bool) -> bool {
    let case = |c: char| if upper { c.is_ascii_uppercase() } else { c.is_ascii_lowercase() };
    name.starts_with(case)
        && !name.ends_with('_')
        && !name.contains("__")
        && name.chars().all(|c| case(c) || c.is_ascii_digit() || c == '_')
}

fn is_pascal(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(|c| c.is_ascii_alphanumeric())
}

fn upper_snake(pascal: &str) -> String {
    let mut text = String::new();
    for (index, c) in pascal.chars().enumerate() {
        if c.is_ascii_uppercase() && index > 0 {
            text.push('_');
        }
        text.push(c.to_ascii_uppercase());
    }
    text
}

impl Checker<'_> {
    fn fault(&mut self, rule: &str, what: &str) {
        self.faults.push(format!("{}: {rule}: {what}", self.file.name()));
    }

    fn location(&self, path: &[i32]) -> Option<&Location> {
        self.file.source_code_info.as_ref()?.location.iter().find(|location| location.path == path)
    }

    fn comment(&mut self, path: &[i32], what: &str) {
        let comment = self.location(path).map(|l| l.leading_comments().trim().to_owned()).unwrap_or_default();
        if comment.is_empty() {
            self.fault("COMMENTS", what);
        } else if !comment.ends_with(['.', ':', '`', '"', ')']) && !comment.contains('.') {
            self.fault("COMMENTS (a sentence)", what);
        }
    }

    fn message(&mut self, message: &DescriptorProto, path: &[i32]) {
        let name = message.name();
        if message.options.as_ref().is_some_and(|o| o.map_entry()) {
            return;
        }
        self.comment(path, name);
        if !is_pascal(name) {
            self.fault("MESSAGE_PASCAL_CASE", name);
        }
        for (index, field) in (0..).zip(&message.field) {
            let full = format!("{name}.{}", field.name());
            self.comment(&[path, &[2, index]].concat(), &full);
            if !is_snake(field.name(), false) {
                self.fault("FIELD_LOWER_SNAKE_CASE", &full);
            }
            if field.type_name().ends_with(".Timestamp") && !field.name().ends_with("_time") {
                self.fault("times end with _time", &full);
            }
        }
        for (index, oneof) in (0..).zip(&message.oneof_decl) {
            if !oneof.name().starts_with('_') {
                self.comment(&[path, &[8, index]].concat(), &format!("{name}.{}", oneof.name()));
            }
        }
        for (index, nested) in (0..).zip(&message.nested_type) {
            self.message(nested, &[path, &[3, index]].concat());
        }
        for (index, nested) in (0..).zip(&message.enum_type) {
            self.enumeration(nested, &[path, &[4, index]].concat());
        }
    }

    fn enumeration(&mut self, enumeration: &EnumDescriptorProto, path: &[i32]) {
        let name = enumeration.name();
        self.comment(path, name);
        let prefix = upper_snake(name);
        for (index, value) in (0..).zip(&enumeration.value) {
            self.comment(&[path, &[2, index]].concat(), &format!("{name}.{}", value.name()));
            if !is_snake(value.name(), true) || !value.name().starts_with(&format!("{prefix}_")) {
                self.fault("ENUM_VALUE_PREFIX", value.name());
            }
            if value.number() == 0 && value.name() != format!("{prefix}_UNSPECIFIED") {
                self.fault("ENUM_ZERO_VALUE_SUFFIX", value.name());
            }
        }
    }

    fn services(&mut self) {
        let package = format!(".{}", self.file.package());
        for (service_index, service) in (0..).zip(&self.file.service) {
            self.comment(&[6, service_index], service.name());
            if !service.name().ends_with("Service") || !is_pascal(service.name()) {
                self.fault("SERVICE_SUFFIX", service.name());
            }
            for (index, method) in (0..).zip(&service.method) {
                self.comment(&[6, service_index, 2, index], method.name());
                let expected =
                    (format!("{package}.{}Request", method.name()), format!("{package}.{}Response", method.name()));
                if (method.input_type(), method.output_type()) != (expected.0.as_str(), expected.1.as_str()) {
                    self.fault("RPC_REQUEST_RESPONSE_UNIQUE", method.name());
                }
            }
        }
    }

    fn placement(&mut self) {
        let folder = self.file.package().replace('.', "/");
        if !self.file.name().starts_with(&format!("{folder}/")) {
            self.fault("PACKAGE_DIRECTORY_MATCH", self.file.package());
        }
        if !self.file.package().ends_with(".v1") {
            self.fault("PACKAGE_VERSION_SUFFIX", self.file.package());
        }
        if self.file.syntax() != "proto3" {
            self.fault("SYNTAX_SPECIFIED", self.file.syntax());
        }
    }
}

#[test]
fn the_contracts_keep_the_rules() {
    let mut faults = Vec::new();
    for file in &compile() {
        let mut checker = Checker { file, faults: Vec::new() };
        checker.placement();
        checker.services();
        for (index, message) in (0..).zip(&file.message_type) {
            checker.message(message, &[4, index]);
        }
        for (index, enumeration) in (0..).zip(&file.enum_type) {
            checker.enumeration(enumeration, &[5, index]);
        }
        faults.extend(checker.faults);
    }

    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn the_checker_sees_faults() {
    assert!(!is_snake("orderId", false));
    assert!(!is_snake("trailing_", false));
    assert!(is_snake("order_id", false));
    assert_eq!(upper_snake("ConsentState"), "CONSENT_STATE");
    assert!(compile().len() >= 11);
}
