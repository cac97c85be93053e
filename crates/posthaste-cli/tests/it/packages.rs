//! What people get from a registry: each package says what it is, holds what it needs to compile alone, and nothing
//! else; and no dependency needs a newer compiler than it says. `scripts/package` compiles them.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Component, Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use serde_json::Value;

use crate::support::repository;

/// What is for publishing. All else measures, shows or tests.
const PUBLISHED: [&str; 6] = [
    "posthaste",
    "posthaste-cli",
    "posthaste-collector",
    "posthaste-oracle",
    "posthaste-relay",
    "posthaste-spool",
];

/// What a package may weigh, before it is compressed. The largest is the library, with some 1.2 MB.
const BYTES_MAX: u64 = 3 << 19;

/// Where posthaste runs. Some dependencies have others for other platforms and for tools, which nobody compiles here.
const PLATFORMS: [&str; 3] = ["x86_64-unknown-linux-gnu", "x86_64-apple-darwin", "x86_64-pc-windows-msvc"];

/// What is in a package beside its source.
const ABOUT: [&str; 6] =
    [".cargo_vcs_info.json", "Cargo.lock", "Cargo.toml", "Cargo.toml.orig", "LICENSE", "README.md"];

/// What the documentation's examples read.
const READ_BY_EXAMPLES: &str = "tests/vectors/larkspur.json";

static WORKSPACE: LazyLock<Value> = LazyLock::new(|| metadata(&["--no-deps"]));

fn cargo(args: &[&str]) -> String {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let ran = Command::new(cargo).args(args).current_dir(repository()).output().unwrap();
    assert!(ran.status.success(), "cargo {args:?}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

fn metadata(args: &[&str]) -> Value {
    let args = [&["metadata", "--format-version", "1", "--locked"], args].concat();
    serde_json::from_str(&cargo(&args)).unwrap()
}

fn packages(metadata: &Value) -> &Vec<Value> {
    metadata["packages"].as_array().unwrap()
}

/// Those of our packages that are for publishing.
fn published() -> impl Iterator<Item = &'static Value> {
    packages(&WORKSPACE).iter().filter(|package| PUBLISHED.contains(&name(package)))
}

fn name(package: &Value) -> &str {
    package["name"].as_str().unwrap()
}

fn folder(package: &Value) -> &Path {
    Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap()
}

/// The files of a package, as cargo would upload them.
fn files(package: &Value) -> BTreeSet<String> {
    let list = ["package", "--list", "--locked", "--offline", "--allow-dirty", "--package", name(package)];
    cargo(&list).lines().map(|file| file.replace('\\', "/")).collect()
}

#[test]
fn only_what_is_for_others_is_published() {
    let may_be = packages(&WORKSPACE).iter().filter(|package| package["publish"].is_null()).map(name);
    assert_eq!(may_be.collect::<BTreeSet<_>>(), BTreeSet::from(PUBLISHED));
}

#[test]
fn each_package_says_what_a_registry_shows() {
    for package in published() {
        let has = |field: &str| {
            let text = package[field].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "{}: {field} is missing", name(package));
            text
        };
        assert_eq!(has("license"), "Apache-2.0");
        assert_eq!(has("readme"), "README.md");
        for field in ["description", "documentation", "repository", "rust_version"] {
            has(field);
        }
        let counts = ["keywords", "categories"].map(|field| package[field].as_array().unwrap().len());
        assert!(counts.iter().all(|count| (1..=5).contains(count)), "{}: {counts:?}", name(package));
        let keywords = package["keywords"].as_array().unwrap();
        assert!(keywords.iter().all(|word| word.as_str().unwrap().len() <= 20), "{keywords:?}");

        let is_library = package["targets"][0]["kind"][0] == "lib";
        assert_eq!(
            package["metadata"]["docs"]["rs"]["all-features"] == true,
            is_library,
            "{}",
            name(package)
        );
    }
}

/// A package is taken from the registry together with the others of its own version.
#[test]
fn packages_name_each_other_by_version() {
    for package in published() {
        let ours =
            package["dependencies"].as_array().unwrap().iter().filter(|other| other["path"].is_string());
        // What only tests need is left out where it has no version.
        for other in ours.filter(|other| other["kind"] != "dev") {
            let version = format!("^{}", package["version"].as_str().unwrap());
            assert_eq!(other["req"], version.as_str(), "{} on {}", name(package), name(other));
        }
    }
}

#[test]
fn each_package_has_the_licence() {
    let licence = fs::read(repository().join("LICENSE")).unwrap();
    for package in published() {
        let file = folder(package).join("LICENSE");
        assert!(fs::symlink_metadata(&file).unwrap().is_file(), "{}", file.display());
        assert!(fs::read(&file).unwrap() == licence, "{} is not the repository's", file.display());
    }
}

#[test]
fn packages_hold_what_they_need_and_nothing_else() {
    for package in published() {
        let files = files(package);
        let main = package["targets"][0]["src_path"].as_str().unwrap();
        let main = Path::new(main).strip_prefix(folder(package)).unwrap().to_str().unwrap();
        for needed in ["Cargo.toml", "LICENSE", "README.md", main] {
            assert!(files.contains(needed), "{}: no {needed}", name(package));
        }
        let other: Vec<&String> = files
            .iter()
            .filter(|file| !file.starts_with("src/") && !ABOUT.contains(&file.as_str()))
            .filter(|file| *file != READ_BY_EXAMPLES || name(package) != "posthaste")
            .collect();
        assert!(other.is_empty(), "{}: {other:?}", name(package));

        // Some are made while packaging.
        let sizes = files.iter().filter_map(|file| fs::metadata(folder(package).join(file)).ok());
        let bytes: u64 = sizes.map(|metadata| metadata.len()).sum();
        assert!((1_000..=BYTES_MAX).contains(&bytes), "{}: {bytes} bytes", name(package));
    }
}

/// A path that leads out of the package is found by nobody who has the package alone.
#[test]
fn what_the_source_includes_is_packaged() {
    let mut found = BTreeSet::new();
    for package in published() {
        let files = files(package);
        for file in files.iter().filter(|file| Path::new(file).extension().is_some_and(|end| end == "rs")) {
            let source = fs::read_to_string(folder(package).join(file)).unwrap();
            for included in included(file, &source) {
                let path = included.to_str().unwrap();
                assert!(files.contains(path), "{}: {file} includes {path}", name(package));
                found.insert(path.to_owned());
            }
        }
    }
    let known = ["README.md", "src/common/larkspur.json", READ_BY_EXAMPLES];
    assert!(known.iter().all(|path| found.contains(*path)), "{found:?}");
}

/// The files that a source file includes, from the package's folder.
fn included(file: &str, source: &str) -> Vec<PathBuf> {
    let calls = source.split("include_str!(").skip(1).chain(source.split("include_bytes!(").skip(1));
    let mut paths = Vec::new();
    for call in calls {
        if let Some(path) = call.strip_prefix("concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/") {
            paths.extend(path.split('"').next().map(PathBuf::from));
        } else if let Some(path) = call.strip_prefix('"') {
            let beside = Path::new(file).parent().unwrap();
            paths.extend(path.split('"').next().map(|path| normal(&beside.join(path))));
        }
    }
    paths
}

/// Without `..`, as far as that goes without leaving the folder.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        if part != Component::ParentDir || !normal.pop() {
            normal.push(part);
        }
    }
    normal
}

#[test]
fn no_dependency_needs_a_newer_compiler_than_we_say() {
    let platforms = PLATFORMS.iter().flat_map(|platform| ["--filter-platform", platform]);
    let metadata = metadata(&platforms.chain(["--all-features"]).collect::<Vec<_>>());
    let by_id: BTreeMap<&str, &Value> =
        packages(&metadata).iter().map(|package| (package["id"].as_str().unwrap(), package)).collect();
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let nodes: BTreeMap<&str, &Value> =
        nodes.iter().map(|node| (node["id"].as_str().unwrap(), node)).collect();

    for package in published() {
        let ours = compiler(package);
        let used = used(package["id"].as_str().unwrap(), &nodes);
        let newer: Vec<String> = used
            .iter()
            .map(|id| by_id[id])
            .filter(|other| compiler(other) > ours)
            .map(|other| format!("{} {} needs {}", name(other), other["version"], other["rust_version"]))
            .collect();
        assert!(newer.is_empty(), "{} says {}: {newer:#?}", name(package), package["rust_version"]);
    }
}

/// Whatever is compiled for those who use this package.
fn used<'a>(package: &'a str, nodes: &BTreeMap<&'a str, &'a Value>) -> BTreeSet<&'a str> {
    let mut used = BTreeSet::new();
    let mut next = vec![package];
    while let Some(id) = next.pop() {
        if !used.insert(id) {
            continue;
        }
        let others = nodes[id]["deps"].as_array().unwrap().iter();
        let built = others
            .filter(|other| other["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"] != "dev"));
        next.extend(built.map(|other| other["pkg"].as_str().unwrap()));
    }
    used
}

/// The oldest compiler that takes a package, as far as it says.
fn compiler(package: &Value) -> [u64; 3] {
    let mut numbers =
        package["rust_version"].as_str().unwrap_or("0").split('.').map(|number| number.parse().unwrap());
    [(); 3].map(|()| numbers.next().unwrap_or(0))
}

#[test]
fn readmes_name_the_oldest_compiler() {
    for package in published() {
        let readme = fs::read_to_string(folder(package).join("README.md")).unwrap();
        let said = format!("needs Rust {} or later", package["rust_version"].as_str().unwrap());
        let words: Vec<&str> = readme.split_whitespace().collect();
        assert!(words.join(" ").contains(&said), "{}: the README does not say \"{said}\"", name(package));
    }
}
