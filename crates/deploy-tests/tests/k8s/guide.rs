//! The guide, held against the manifests: what it shows exists, what it tells people to run does what it says.

use std::collections::{BTreeMap, BTreeSet};

use deploy_tests::{CLOSING_SECONDS, files_below, read, repository_root};
use k8s_openapi::api::apps::v1::Deployment;

use crate::{
    kustomization,
    kustomize::Kustomization,
    platform::{NAMESPACE, Platform, SECRET_TEMPLATE},
    rules::{binds, bounds, connections_needed, scaled_objects, settings_of, sleep_before_stop, with_secrets},
};

const MIGRATION: &str = "app.kubernetes.io/name=migrate";

pub(crate) fn guide() -> String {
    read(&repository_root().join("docs/kubernetes.md")).expect("it is there")
}

/// What stands below a heading, up to the next one.
fn section<'a>(text: &'a str, title: &str) -> &'a str {
    let (_, rest) =
        text.split_once(&format!("\n## {title}\n")).unwrap_or_else(|| panic!("no section is called {title}"));
    rest.split("\n## ").next().unwrap_or(rest)
}

/// Code of a Markdown text, in blocks and within lines. Between back quotes every second piece is code, also where
/// there are three of them.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2).filter(|piece| !piece.is_empty())
}

/// The commands of a text: lines of blocks without their comments, and those in the middle of a line.
fn commands(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for piece in code(text) {
        match piece.strip_prefix("sh\n") {
            Some(block) => {
                let lines = block.lines().map(|line| line.split(" #").next().unwrap_or(line).trim());
                found.extend(lines.filter(|line| !line.is_empty()).map(str::to_owned));
            }
            None => found.push(piece.replace('\n', " ")),
        }
    }
    found
}

/// A block of YAML that begins with this line.
fn yaml<'a>(text: &'a str, first: &str) -> &'a str {
    let mut blocks = code(text).filter_map(|piece| piece.strip_prefix("yaml\n"));
    blocks.find(|block| block.lines().next() == Some(first)).unwrap_or_else(|| panic!("no block begins with {first}"))
}

/// The folder for production that the guide shows, and what it applies.
fn production() -> Platform {
    let guide = guide();
    let example = yaml(section(&guide, "For production"), "# deploy/production/kustomization.yaml");
    Kustomization::parse(example, "the example for production").rendered("deploy/production")
}

fn base() -> Platform {
    Kustomization::of("deploy/k8s").rendered("deploy/k8s")
}

/// What the manifests of the base and the example apply, by the folder.
fn applied(folder: &str) -> Platform {
    match folder {
        "deploy/production" => production(),
        folder => Kustomization::of(folder).rendered(folder),
    }
}

#[test]
fn the_production_example_renames_every_image_to_one_version() {
    let mut seen = BTreeMap::new();
    for pods in production().pods() {
        assert!(pods.are_ours(), "{} runs beside the managed servers", pods.id);
        for container in pods.containers() {
            let image = container.image.unwrap_or_default();
            let (name, tag) = image.rsplit_once(':').expect("an image has a tag");
            assert_eq!(name, format!("registry.example.com/messaging-platform/{}", pods.image()), "{}", pods.id);
            seen.insert(pods.image().to_owned(), tag.to_owned());
        }
    }
    let named: BTreeSet<_> = kustomization::image_names().into_iter().collect();
    assert_eq!(named, seen.keys().map(|name| format!("messaging-platform/{name}")).collect());
    assert_eq!(seen.values().collect::<BTreeSet<_>>().len(), 1, "{seen:?}");
}

#[test]
fn an_upgrade_migrates_with_the_new_image_before_anything_else_changes() {
    let guide = guide();
    let commands = commands(section(&guide, "Upgrade"));
    let place = |what: &dyn Fn(&str) -> bool| commands.iter().position(|command| what(command));
    let applies = |command: &str| command.starts_with("kubectl apply");
    let deleted = place(&|command| command.starts_with("kubectl delete job migrate "));
    let migrated = place(&|command| applies(command) && command.ends_with(&format!(" -l {MIGRATION}")));
    let waited = place(&|command| command.starts_with("kubectl wait") && command.contains("complete"));
    let all = place(&|command| applies(command) && !command.contains(" -l "));
    let places = [deleted, migrated, waited, all];
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?} in {commands:#?}");
    // By its file the Job would have the image of the file, whatever the kustomization names.
    assert!(!commands.iter().any(|command| applies(command) && command.contains(" -f ")), "{commands:#?}");
    let by_label = &commands[migrated.expect("it was found")];
    assert_eq!(by_label.strip_suffix(&format!(" -l {MIGRATION}")), all.map(|all| commands[all].as_str()));
}

#[test]
fn the_label_selects_the_migration_and_what_it_needs_is_there_before() {
    let (key, value) = MIGRATION.split_once('=').expect("a label has a value");
    for platform in [base(), production()] {
        let label = format!("/metadata/labels/{}", key.replace('/', "~1"));
        let (selected, others): (Vec<_>, Vec<_>) =
            platform.documents.iter().partition(|document| document.text(&label) == value);
        let ids: Vec<_> = selected.iter().map(|document| document.id()).collect();
        assert_eq!(ids, ["Job/migrate", "NetworkPolicy/migrate"]);
        let job = platform.pods().into_iter().find(|pods| pods.id == "Job/migrate").expect("it is selected");
        for container in job.containers() {
            let maps = container.env_from.into_iter().flatten().filter_map(|source| source.config_map_ref);
            for map in maps {
                let is_there = others.iter().any(|document| document.id() == format!("ConfigMap/{}", map.name));
                assert!(is_there, "ConfigMap/{} is not applied by the release before", map.name);
            }
        }
    }
}

#[test]
fn autoscalers_go_before_keda_comes() {
    let guide = guide();
    let commands = commands(section(&guide, "Scale"));
    let deleting = commands.iter().position(|command| command.starts_with("kubectl delete hpa "));
    let applying = commands.iter().position(|command| command == "kubectl apply -k deploy/production");
    assert!(deleting.is_some() && deleting < applying, "{commands:#?}");
    let words = commands[deleting.expect("it was found")].split(' ').skip(3);
    let named: BTreeSet<_> =
        words.take_while(|word| *word != "-n").map(|name| format!("HorizontalPodAutoscaler/{name}")).collect();
    assert_eq!(named, kustomization::deleted_by("components/keda").into_iter().collect());
    // KEDA refuses a deployment that an autoscaler has already.
    let platform = production();
    let taken = bounds(&platform);
    for object in scaled_objects(&platform) {
        assert!(!taken.contains_key(&object.spec.scale_target_ref.name), "{}", object.metadata.name);
    }
}

#[test]
fn servers_that_run_already_go_as_the_component_leaves_them_out() {
    let deleting = "kubectl delete statefulset,service,networkpolicy mysql rabbitmq -n distributed-messaging-platform";
    assert!(commands(section(&guide(), "For production")).iter().any(|command| command == deleting));
    let kinds = ["StatefulSet", "Service", "NetworkPolicy"];
    let named: BTreeSet<_> =
        kinds.iter().flat_map(|kind| ["mysql", "rabbitmq"].map(|name| format!("{kind}/{name}"))).collect();
    assert_eq!(named, kustomization::deleted_by("components/managed-servers").into_iter().collect());
}

#[test]
fn the_example_of_lasting_bounds_changes_an_autoscaler() {
    let guide = guide();
    let patches = yaml(section(&guide, "Scale"), "patches:");
    let head = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [../k8s]\n";
    let with = |components: &str| {
        let text = format!("{head}{components}{patches}");
        Kustomization::parse(&text, "the example of bounds").rendered("deploy/production")
    };
    let (before, after) = (bounds(&base()), bounds(&with("")));
    let changed: Vec<_> = before.iter().filter(|(name, old)| after[*name] != **old).collect();
    let [(name, (least, most))] = changed.as_slice() else { panic!("{changed:?}") };
    assert!(after[*name].0 > *least && after[*name].1 <= *most, "the connections are counted for {most} pods");
    // It is one that is there with KEDA too.
    assert_eq!(bounds(&with("components: [../k8s/components/keda]\n"))[*name], after[*name]);
}

#[test]
fn the_example_of_operators_over_smpp_keeps_to_the_binds_they_allow() {
    let guide = guide();
    let head = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [../k8s]\n";
    let text = format!("{head}{}", block_of_smpp(&guide));
    let example =
        |text: &str| with_secrets(Kustomization::parse(text, "the example of SMPP").rendered("deploy/production"));
    assert_eq!(binds(&example(&text)), Vec::<String>::new());
    let more = text.replace("maxReplicaCount: 4", "maxReplicaCount: 6");
    assert_eq!(binds(&example(&more)), ["Deployment/delivery-worker: operatorA allows 5 of 6 binds"]);
}

fn block_of_smpp(guide: &str) -> &str {
    let first = "components: [../k8s/components/managed-servers, ../k8s/components/keda, ../k8s/components/smpp]";
    yaml(section(guide, "Operators over SMPP"), first)
}

/// The autoscaler takes a number of pods back at its next look, and the next apply its bounds.
#[test]
fn no_command_fights_the_autoscalers() {
    for (file, command) in kubectl_commands() {
        let is_undone = command.starts_with("kubectl scale ") || command.starts_with("kubectl patch hpa ");
        assert!(!is_undone, "{file}: {command}");
    }
}

#[test]
fn the_table_of_pods_is_what_the_manifests_say() {
    let (guide, platform) = (guide(), base());
    for (name, (least, most)) in bounds(&platform) {
        let pods = platform.pods().into_iter().find(|pods| pods.name == name).expect("it is scaled");
        let connections = settings_of(&platform, &pods)["DB_MAX_OPEN_CONNS"].clone();
        let row = format!("| {name} | {least} to {most} | {connections} |");
        assert!(guide.contains(&row), "{row}");
    }
    let arguments = platform.pods().into_iter().find(|pods| pods.name == "mysql").expect("it is there").containers();
    let arguments = arguments.into_iter().flat_map(|container| container.args.unwrap_or_default());
    let given = arguments.into_iter().find_map(|text| text.strip_prefix("--max-connections=").map(str::to_owned));
    let sum = format!("({} of {} here", connections_needed(&platform), given.expect("it is set"));
    assert!(guide.contains(&sum), "{sum}");
}

#[test]
fn the_times_of_an_update_are_those_of_the_manifests() {
    let (guide, platform) = (guide(), base());
    let update = section(&guide, "Upgrade").replace('\n', " ");
    let gateway = platform.pods().into_iter().find(|pods| pods.name == "api-gateway").expect("it is there");
    let deployment =
        platform.all::<Deployment>().into_iter().find_map(|deployment| deployment.spec?.strategy?.rolling_update);
    let deployment = serde_json::to_string(&deployment).expect("it is JSON");
    assert_eq!(deployment, r#"{"maxSurge":1,"maxUnavailable":0}"#, "the guide says one more, and none less");
    for told in [
        "one pod more (`maxSurge: 1`), and none less (`maxUnavailable: 0`)".to_owned(),
        format!("The gateway waits {} s, until no proxy opens connections", sleep_before_stop(&gateway)),
        format!("`SHUTDOWN_TIMEOUT_SECS` ({})", settings_of(&platform, &gateway)["SHUTDOWN_TIMEOUT_SECS"]),
        format!("at most {CLOSING_SECONDS} s to close"),
        format!("waits {} s for all of it", gateway.spec().termination_grace_period_seconds.unwrap_or(30)),
    ] {
        assert!(update.contains(&told), "{told}");
    }
}

/// Commands with kubectl in all documents, by file.
fn kubectl_commands() -> Vec<(String, String)> {
    let root = repository_root();
    let mut files = files_below(&root.join("docs")).expect("the documents are there");
    files.extend(["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(|name| root.join(name)));
    let mut found = Vec::new();
    for path in files.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "md")) {
        let file = path.strip_prefix(root).expect("it is below").display().to_string();
        let commands = commands(&read(&path).expect("it is text")).into_iter();
        found.extend(commands.filter(|command| command.starts_with("kubectl ")).map(|command| (file.clone(), command)));
    }
    assert!(found.len() > 20, "{found:#?}");
    found
}

#[test]
fn commands_name_the_namespace_and_objects_that_exist() {
    let manifests = Platform::load();
    for (file, command) in kubectl_commands() {
        let words: Vec<_> = command.split_whitespace().collect();
        let after = |flag: &str| words.windows(2).find(|pair| pair[0] == flag).map(|pair| pair[1]);
        match words[1] {
            "apply" => {
                if let Some(folder) = after("-k") {
                    assert!(!applied(folder).documents.is_empty(), "{file}: {command}");
                }
            }
            // They are about clusters or files, not about what is in our namespace; or only named, without arguments.
            "kustomize" | "label" => {}
            _ if words.len() == 2 || words[1..] == ["rollout", "undo"] => {}
            _ => assert_eq!(after("-n"), Some(NAMESPACE), "{file}: {command}"),
        }
        for (kind, name) in words.iter().filter_map(|word| word.split_once('/')) {
            let kind = match kind {
                "deployment" => "Deployment",
                "statefulset" => "StatefulSet",
                "job" => "Job",
                "svc" => "Service",
                _ => continue,
            };
            assert!(manifests.has(kind, name), "{file}: {command}");
        }
        if let ["kubectl", "delete", kind @ ("job" | "hpa"), names @ ..] = words.as_slice() {
            let kind = if *kind == "job" { "Job" } else { "HorizontalPodAutoscaler" };
            for name in names.iter().take_while(|name| !name.starts_with('-')) {
                assert!(manifests.has(kind, name), "{file}: {command}");
            }
        }
    }
}

/// A command that stays in the foreground would keep a pasted block from ever reaching what follows.
#[test]
fn nothing_follows_a_command_that_does_not_end() {
    let guide = guide();
    for block in code(&guide).filter_map(|piece| piece.strip_prefix("sh\n")) {
        let endless = block.lines().position(|line| line.contains("port-forward") && !line.contains(" & "));
        let last = block.lines().count() - 1;
        assert!(endless.is_none_or(|line| line == last), "{block}");
    }
}

#[test]
fn no_kustomization_lists_the_secrets() {
    for folder in ["deploy/k8s", "deploy/small", "deploy/k8s/components/smpp"] {
        let resources = Kustomization::of(folder).resources;
        assert!(!resources.iter().any(|file| file.ends_with(SECRET_TEMPLATE)), "{folder}");
    }
    assert!(!production().documents.iter().any(|document| document.kind() == "Secret"));
}
