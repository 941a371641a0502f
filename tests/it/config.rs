//! The user's `config.toml`: where it is found, what it changes, and what it never shows.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::fixture::{project_naming, registry_and_project, serve, two_platforms};
use crate::support::image::Layer;
use crate::support::layer_text::layer_tar;
use crate::support::project::{Project, Ran};
use crate::support::registry::auth::{Auth, Login};
use crate::support::registry::fault::{Effect, Fault};
use crate::support::registry::{Options, TestRegistry};

const LOGIN: Login = Login { user: "ann", password: "hunter2" };

/// A registry that serves `team/app:1`, and a project that names it.
fn registry_with(options: Options) -> (TestRegistry, Project) {
    let registry = TestRegistry::start_with(options);
    let image = two_platforms(&[&Layer::new("/etc/motd 0644 hello")]);
    serve(&registry, "team/app", "1", &image);
    let project = project_naming(&[("app", &format!("{}/team/app:1", registry.host()))]);
    (registry, project)
}

/// `[registries."HOST"]` with these lines.
fn about(registry: &TestRegistry, lines: &str) -> String {
    format!("[registries.\"{}\"]\n{lines}\n", registry.host())
}

#[test]
fn a_store_that_it_names_is_used_unless_another_is_named() {
    let project = Project::new("manifest-version = 1\n");
    let config = project.write_config("store = \"own\"\n");
    let own = config.parent().expect("it has one").join("own");
    project.run(&["sync", "--no-locked"]).exits(0);
    assert!(!own.exists(), "`--store` is stronger");
    Ran::of(&mut project.command_without_store(&["verify"])).exits(0);
    let image = two_platforms(&[&Layer::new("/etc/motd 0644 hello")]);
    let (_registry, project) = registry_and_project(&image);
    let config = project.write_config("store = \"own\"\n");
    let own = config.parent().expect("it has one").join("own");

    Ran::of(&mut project.command_without_store(&["sync"])).exits(0);

    assert!(own.join("v1").is_dir(), "relative to the file that names it");
    let disk = Ran::of(&mut project.command_without_store(&["path", "app"])).text();
    assert!(disk.starts_with(own.to_str().expect("UTF-8")), "{disk}");
}

#[test]
fn a_file_that_is_named_beats_the_environment_and_that_the_usual_place() {
    let project = Project::new("manifest-version = 1\n");
    project.write_config("usual = 1\n");
    for name in ["variable", "option"] {
        fs::write(project.directory().join(name), format!("{name} = 1\n")).expect("it is written");
    }
    let said = |arguments: &[&str], variable: Option<&str>| {
        let mut command = project.command(arguments);
        command.envs(variable.map(|path| ("SANDBOX_IMAGES_CONFIG", path)));
        Ran::of(&mut command).exits(2).stderr
    };
    let list = said(&["list"], None);
    assert!(list.contains("unknown key `usual`") && list.contains(".config/sandbox-images"));
    assert!(said(&["list"], Some("variable")).contains("unknown key `variable`"));
    let named = said(&["list", "--config", "option"], Some("variable"));
    assert!(named.contains("unknown key `option`") && named.contains("--> option:1:1"), "{named}");
    assert!(said(&["list", "--config", "missing"], None).contains("cannot read the configuration"));
}

#[test]
fn a_wrong_file_ends_every_command_with_all_its_problems() {
    let project = Project::new("manifest-version = 1\n");
    project.write_config("jobs = 0\n[limits]\nlayer-max = 3\n");
    let told = project.run(&["lock", "--json"]).exits(2);
    let value: serde_json::Value = serde_json::from_str(&told.stdout).expect("JSON");
    let codes: Vec<&str> = value["diagnostics"]
        .as_array()
        .expect("an array")
        .iter()
        .map(|problem| problem["code"].as_str().expect("a code"))
        .collect();
    assert_eq!(codes, ["invalid-value", "unknown-key"]);
    assert!(told.stderr.contains("did you mean `layers-max`?"), "{}", told.stderr);
    assert!(!project.lock_path().exists());
}

#[test]
fn limits_hold_for_lock_sync_and_inspect() {
    let image = two_platforms(&[&Layer::new("/a 0644 1"), &Layer::new("/b 0644 2\n/c 0644 3")]);
    let (_registry, project) = registry_and_project(&image);
    fs::write(project.directory().join("layer"), layer_tar("/a 0644 1\n/b 0644 2")).expect("a tar");

    project.write_config("limits.layers-max = 1\n");
    let told = project.run(&["lock"]).exits(1).stderr;
    assert!(told.contains("more than 1 layers in one image (`limits.layers-max`"), "{told}");
    project.run(&["inspect", "tree", "--layers", "layer", "layer"]).exits(5);

    project.write_config("limits.entries-max = 1\n");
    project.run(&["lock"]).exits(0);
    let told = project.run(&["sync"]).exits(1).stderr;
    assert!(told.contains("`limits.entries-max` in the user's `config.toml`"), "{told}");
    project.run(&["inspect", "layer", "layer"]).exits(5);

    project.write_config("");
    project.run(&["sync"]).exits(0);
    project.run(&["inspect", "layer", "layer"]).exits(0);
}

#[test]
fn an_authority_that_it_names_is_trusted() {
    let (registry, project) = registry_with(Options { tls: true, auth: Auth::None });
    project.run(&["lock"]).exits(1);
    let config = project.write_config(&about(&registry, "ca = \"corp.pem\""));
    fs::write(config.with_file_name("corp.pem"), registry.ca_pem()).expect("it is written");

    project.run(&["lock"]).exits(0);
    project.run(&["sync"]).exits(0);
}

#[test]
fn files_that_it_names_are_looked_at_and_pointed_at() {
    let (registry, project) = registry_with(Options::default());
    let lines = "ca = \"missing.pem\"\nclient-certificate = \"text\"";
    let config = project.write_config(&about(&registry, lines));
    fs::write(config.with_file_name("text"), "hunter2").expect("it is written");

    let told = project.run(&["lock"]).exits(2).stderr;

    assert!(told.contains("missing.pem`: No such file or directory"), "{told}");
    assert!(told.contains("text` holds no certificate in PEM"), "{told}");
    assert!(told.contains("ca = \"missing.pem\"") && !told.contains("hunter2"), "{told}");
    assert!(registry.requests().is_empty(), "nobody is asked before the configuration is right");
    project.run(&["lock", "--check"]).exits(3);
}

#[test]
fn a_password_in_it_or_in_a_file_gets_a_private_image() {
    for (auth, lines) in [
        (Auth::Bearer(Some(LOGIN)), "username = \"ann\"\npassword = \"hunter2\""),
        (Auth::Basic(LOGIN), "username = \"ann\"\npassword-file = \"secret\""),
        (Auth::Bearer(Some(LOGIN)), "identity-token-file = \"secret\""),
    ] {
        let (registry, project) = registry_with(Options { tls: false, auth });
        project.run(&["lock"]).exits(6);
        let config = project.write_config(&about(&registry, lines));
        fs::write(config.with_file_name("secret"), "hunter2\n").expect("it is written");
        project.run(&["lock"]).exits(0);
        project.run(&["sync"]).exits(0);
    }
}

#[test]
fn who_is_to_be_anonymous_shows_nothing() {
    let (registry, project) = registry_with(Options { tls: false, auth: Auth::Bearer(None) });
    let login = format!("{{\"auths\":{{\"{}\":{{\"auth\":\"YW5uOnB3\"}}}}}}", registry.host());
    fs::write(project.directory().join("auth.json"), login).expect("it is written");
    project.write_config(&about(&registry, "anonymous = true"));
    let mut lock = project.command(&["lock"]);
    Ran::of(lock.env("REGISTRY_AUTH_FILE", "auth.json")).exits(0);
    let token = &registry.requests_to("/token")[0];
    assert_eq!(token.authorization, None);
}

#[test]
fn protection_is_given_up_on_request_only() {
    let (plain, project) = registry_with(Options::default());
    project.write_config(&about(&plain, "insecure = \"http\""));
    project.run(&["lock"]).exits(0);

    let (secure, project) = registry_with(Options { tls: true, auth: Auth::None });
    project.write_config(&about(&secure, "insecure = \"http\"\n[network]\ntries = 1"));
    project.run(&["lock"]).exits(1);
    assert!(secure.requests().is_empty(), "it was spoken to in the clear");
    project.write_config(&about(&secure, "insecure = \"skip-verify\""));
    project.run(&["lock"]).exits(0);
}

#[test]
fn patience_is_what_it_says() {
    let (registry, project) = registry_with(Options::default());
    registry.fault(Fault::on("/manifests/", Effect::Answer(500, Vec::new(), Vec::new())));
    project.write_config("[network]\ntries = 1\n");
    project.run(&["lock"]).exits(1);
    assert_eq!(registry.requests_to("/manifests/").len(), 1);
}

#[test]
fn its_mirrors_win_over_those_of_the_project_and_neither_is_in_the_lock() {
    let (origin, project) = registry_with(Options::default());
    let mirrors = [TestRegistry::start(), TestRegistry::start()];
    let image = two_platforms(&[&Layer::new("/etc/motd 0644 hello")]);
    for mirror in &mirrors {
        serve(mirror, "team/app", "1", &image);
    }
    let [of_project, of_user] = &mirrors;
    let file = project.directory().join("sandbox-images.toml");
    let named = fs::read_to_string(&file).expect("the project has its file");
    let line = |mirror: &TestRegistry| format!("mirrors = [\"{}\"]", mirror.url());
    fs::write(&file, format!("{named}\n{}", about(&origin, &line(of_project)))).expect("written");
    for (config, asked) in [
        (String::new(), of_project),
        (about(&origin, "username = 'ann'\npassword = 'x'"), of_project),
        (about(&origin, &line(of_user)), of_user),
        (about(&origin, "mirrors = []"), &origin),
    ] {
        let all = [&origin, of_project, of_user];
        for registry in all {
            registry.clear_requests();
        }
        fs::remove_file(project.lock_path()).ok();
        project.write_config(&config);
        project.run(&["lock"]).exits(0);
        for registry in all {
            let was_asked = !registry.requests_to("/manifests/").is_empty();
            assert_eq!(was_asked, registry.host() == asked.host(), "with {config}");
        }
        let lock = project.lock_text();
        assert!(mirrors.iter().all(|mirror| !lock.contains(&mirror.host())), "{lock}");
    }
}

#[test]
fn a_secret_that_others_may_read_is_warned_of() {
    let (registry, project) = registry_with(Options::default());
    let lines = "username = \"ann\"\npassword = \"hunter2\"";
    let config = project.write_config(&about(&registry, lines));
    let kept = project.run(&["lock"]).exits(0);
    assert!(!kept.stderr.contains("chmod"), "{}", kept.stderr);

    fs::set_permissions(&config, fs::Permissions::from_mode(0o644)).expect("the mode is changed");
    let told = project.run(&["lock"]).exits(0).stderr;
    assert!(told.contains("holds a secret and is open to other users; run `chmod 600"), "{told}");
}

/// Lines about a registry that are right.
const RIGHT: [&str; 3] = [
    "username = 'ann'\npassword = 'hunter2'",
    "username = 'ann'\npassword-file = 'secret'",
    "identity-token = 'hunter2'",
];

/// Lines about a registry that are wrong, or in a file with another error.
const WRONG: [&str; 7] = [
    "username = 'ann'\npassword = 'hunter2' # hunter2\nca = 1",
    "username = 'ann'\npasword = 'hunter2'",
    "username = 'ann', password = 'hunter2'",
    "username = 'ann'\npassword = 'hunter2",
    "username = 'ann'\npassword = \"\"\"\nhunter2",
    "identity-token = 'hunter2'\npassword = 'hunter2'",
    "mirrors = ['https://ann:hunter2@m.example']",
];

#[test]
fn a_secret_appears_in_no_output() {
    let another = Login { user: "ann", password: "another" };
    for lines in RIGHT {
        let login = |login| Auth::Bearer(Some(login));
        for auth in [Auth::None, Auth::Basic(LOGIN), login(LOGIN), login(another.clone())] {
            check_secrecy(lines, auth);
        }
    }
    for lines in WRONG {
        check_secrecy(lines, Auth::None);
    }
}

#[test]
fn a_secret_in_the_projects_file_is_refused_without_showing_it() {
    for line in ["password = 'hunter2'", "mirrors = ['https://ann:hunter2@m.example']"] {
        let text = format!("[registries.'r.example']\n{line}\n");
        let told = Project::new(&text).run(&["lock"]).exits(2).stderr;
        assert!(told.contains("sandbox-images.toml:2") && !told.contains("hunter2"), "{told}");
    }
}

/// Runs commands with these lines about their registry.
fn check_secrecy(lines: &str, auth: Auth) {
    let (registry, project) = registry_with(Options { tls: false, auth });
    let config = project.write_config(&about(&registry, lines));
    fs::write(config.with_file_name("secret"), "hunter2").expect("it is written");
    fs::set_permissions(&config, fs::Permissions::from_mode(0o644)).expect("the mode is changed");
    let reference = format!("{}/team/app:1", registry.host());
    for words in [
        &["lock", "--progress", "json"][..],
        &["sync", "--json"],
        &["inspect", "auth", &reference],
        &["list"],
        &["doctor", "--online"],
        &["doctor", "--online", "--json"],
    ] {
        let ran = project.run(words);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(!said.contains("hunter2"), "{words:?} with {lines}\n{said}");
        // `ann:hunter2` as Basic authentication shows it.
        assert!(!said.contains("YW5uOmh1bnRlcjI"), "{words:?} with {lines}\n{said}");
    }
    let lock = fs::read_to_string(project.lock_path()).unwrap_or_default();
    assert!(!lock.contains("hunter2"), "{lock}");
}
