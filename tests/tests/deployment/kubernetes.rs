//! The manifests of deploy/kubernetes, read into the types of their kinds; nothing of them may be left over.

use super::{flags, read};
use coulomb_tests::workspace_root;
use k8s_openapi::api::apps::v1::{DaemonSet, StatefulSet};
use k8s_openapi::api::core::v1::{Namespace, PodSpec, PodTemplateSpec, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Command;

const FOLDER: &str = "deploy/kubernetes";

fn documents(file: &str) -> Vec<Value> {
    let text = read(&format!("{FOLDER}/{file}"));
    let parts = text.split("\n---\n");
    parts.map(|part| serde_saphyr::from_str(part).unwrap_or_else(|e| panic!("{file} is not YAML: {e}"))).collect()
}

/// Each file with its documents, the kustomization aside.
fn manifests() -> Vec<(String, Value)> {
    let entries = std::fs::read_dir(workspace_root().join(FOLDER)).expect("there is such a folder");
    let names = entries.map(|entry| entry.expect("it can be listed").file_name().into_string().expect("ASCII"));
    let mut names: Vec<String> = names.filter(|name| name != "kustomization.yaml").collect();
    names.sort();
    names.iter().flat_map(|name| documents(name).into_iter().map(move |document| (name.clone(), document))).collect()
}

/// What `typed` has not of `stated`, as paths.
fn left_over(stated: &Value, typed: &Value, path: &str, found: &mut Vec<String>) {
    match (stated, typed) {
        (Value::Object(stated), Value::Object(typed)) => {
            for (key, value) in stated {
                left_over(value, typed.get(key).unwrap_or(&Value::Null), &format!("{path}.{key}"), found);
            }
        }
        (Value::Array(stated), Value::Array(typed)) if stated.len() == typed.len() => {
            for (at, (value, typed)) in stated.iter().zip(typed).enumerate() {
                left_over(value, typed, &format!("{path}[{at}]"), found);
            }
        }
        (stated, typed) if stated == typed => {}
        _ => found.push(format!("{path}: {stated}")),
    }
}

/// The document as its kind; panics with what the kind does not know.
fn typed<K: DeserializeOwned + Serialize>(file: &str, document: &Value) -> K {
    let typed: K = serde_json::from_value(document.clone()).unwrap_or_else(|e| panic!("{file}: {e}: {document}"));
    let mut found = Vec::new();
    left_over(document, &serde_json::to_value(&typed).expect("what was read can be written"), "", &mut found);
    assert!(found.is_empty(), "{file}: {} knows no {found:#?}", document["kind"]);
    typed
}

fn only<K: DeserializeOwned + Serialize>(kind: &str) -> K {
    let all = manifests();
    let mut found = all.iter().filter(|(_, document)| document["kind"] == kind);
    let (file, document) = found.next().unwrap_or_else(|| panic!("there is no {kind}"));
    assert!(found.next().is_none(), "there is more than one {kind}");
    typed(file, document)
}

#[test]
fn each_manifest_is_what_its_kind_knows_and_nothing_else() {
    for (file, document) in manifests() {
        let kind =
            format!("{}/{}", document["apiVersion"].as_str().unwrap_or("?"), document["kind"].as_str().unwrap_or("?"));
        match kind.as_str() {
            "v1/Namespace" => drop(typed::<Namespace>(&file, &document)),
            "v1/Service" => drop(typed::<Service>(&file, &document)),
            "v1/ServiceAccount" => drop(typed::<ServiceAccount>(&file, &document)),
            "apps/v1/StatefulSet" => drop(typed::<StatefulSet>(&file, &document)),
            "apps/v1/DaemonSet" => drop(typed::<DaemonSet>(&file, &document)),
            "rbac.authorization.k8s.io/v1/ClusterRole" => drop(typed::<ClusterRole>(&file, &document)),
            "rbac.authorization.k8s.io/v1/ClusterRoleBinding" => drop(typed::<ClusterRoleBinding>(&file, &document)),
            "networking.k8s.io/v1/NetworkPolicy" => drop(typed::<NetworkPolicy>(&file, &document)),
            other => panic!("{file}: {other} is not checked here"),
        }
        let cluster_wide =
            ["Namespace", "ClusterRole", "ClusterRoleBinding"].iter().any(|kind| document["kind"] == *kind);
        assert_eq!(
            document["metadata"]["namespace"].as_str(),
            (!cluster_wide).then_some("coulomb"),
            "{file}: {document}"
        );
    }
}

/// A check that never fails is none.
#[test]
fn a_word_that_a_kind_does_not_know_is_found() {
    let document = serde_json::json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"},
        "spec": {"ports": [{"port": 1, "tragetPort": 2}]}});
    let known: Service = serde_json::from_value(document.clone()).expect("the rest is good");
    let mut found = Vec::new();
    left_over(&document, &serde_json::to_value(known).expect("it can be written"), "", &mut found);
    assert_eq!(found, [".spec.ports[0].tragetPort: 2"]);
}

fn labels_of(template: &PodTemplateSpec) -> BTreeMap<String, String> {
    template.metadata.as_ref().and_then(|meta| meta.labels.clone()).unwrap_or_default()
}

fn selects(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let wanted = selector.match_labels.clone().unwrap_or_default();
    !wanted.is_empty() && wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// Its one container: flags are known, mounts have a volume, and it may do no more than it must.
fn check_pod(pod: &PodSpec, program: &str, claims: &[&str]) -> Vec<String> {
    assert_eq!(pod.containers.len(), 1);
    let container = &pod.containers[0];
    let arguments = container.args.clone().expect("it is told what to do");
    let known = flags(program, &arguments[0]);
    for flag in arguments.iter().filter(|argument| argument.starts_with("--")) {
        assert!(known.contains(flag), "{program} {} has no {flag}", arguments[0]);
    }
    let volumes: Vec<&str> = pod.volumes.iter().flatten().map(|volume| volume.name.as_str()).collect();
    for mount in container.volume_mounts.iter().flatten() {
        let name = mount.name.as_str();
        assert!(volumes.contains(&name) || claims.contains(&name), "{program} mounts {name:?}, which is no volume");
    }
    let security = container.security_context.as_ref().expect("it says what it may do");
    assert_eq!(security.allow_privilege_escalation, Some(false));
    assert_eq!(security.read_only_root_filesystem, Some(true));
    assert_eq!(security.privileged, None);
    let capabilities = security.capabilities.as_ref().expect("it says which capabilities");
    assert_eq!((capabilities.drop.as_deref(), &capabilities.add), (Some(&["ALL".to_owned()][..]), &None));
    for name in container.env.iter().flatten().map(|variable| &variable.name) {
        assert!(!name.contains("TOKEN"), "{program}: a token in the environment is seen by others: {name}");
    }
    arguments
}

fn argument<'a>(arguments: &'a [String], flag: &str) -> &'a str {
    let at = arguments.iter().position(|argument| argument == flag).unwrap_or_else(|| panic!("{flag} is missing"));
    &arguments[at + 1]
}

#[test]
fn the_server_is_reached_and_keeps_its_data() {
    let server: StatefulSet = only("StatefulSet");
    let spec = server.spec;
    let labels = labels_of(&spec.template);
    assert!(selects(&spec.selector, &labels));
    let claims = spec.volume_claim_templates.expect("it keeps something");
    let claims: Vec<&str> = claims.iter().filter_map(|claim| claim.metadata.name.as_deref()).collect();
    let pod = spec.template.spec.expect("a template has a spec");
    let arguments = check_pod(&pod, "coulomb", &claims);
    let mounts = pod.containers[0].volume_mounts.as_ref().expect("it mounts something");
    assert_eq!(
        mounts.iter().find(|m| m.name == "data").map(|m| m.mount_path.as_str()),
        Some(argument(&arguments, "--data"))
    );
    let security = pod.security_context.as_ref().expect("it says who it is");
    assert_eq!((security.run_as_non_root, security.run_as_user), (Some(true), Some(6240)));
    assert_eq!(pod.automount_service_account_token, Some(false), "it asks nothing of the cluster");

    let service: Service = only("Service");
    let service_spec = service.spec.expect("a service has a spec");
    let selected = LabelSelector { match_labels: service_spec.selector, ..LabelSelector::default() };
    assert!(selects(&selected, &labels), "the service is of another pod");
    assert_eq!(spec.service_name.as_deref(), service.metadata.name.as_deref());
    let ports = pod.containers[0].ports.as_ref().expect("it names its ports");
    for port in service_spec.ports.expect("it has ports") {
        let named = ports.iter().find(|own| own.name == port.name).expect("the server has each port of the service");
        assert_eq!(named.container_port, port.port);
        assert!(arguments.iter().any(|argument| argument.ends_with(&format!(":{}", port.port))), "{}", port.port);
    }
    let policy: NetworkPolicy = only("NetworkPolicy");
    assert!(selects(policy.spec.expect("a policy has a spec").pod_selector.as_ref().expect("of some pods"), &labels));
}

#[test]
fn the_collector_sees_the_kubelet_and_may_read_pods() {
    let collector: DaemonSet = only("DaemonSet");
    let spec = collector.spec;
    assert!(selects(&spec.selector, &labels_of(&spec.template)));
    let pod = spec.template.spec.expect("a template has a spec");
    let arguments = check_pod(&pod, "coulomb-collector", &[]);
    assert_eq!(argument(&arguments, "--server"), "http://coulomb.coulomb.svc:6240");
    assert_eq!(argument(&arguments, "--node"), "$(NODE_NAME)");
    let mounts = pod.containers[0].volume_mounts.as_ref().expect("it mounts something");
    let mount =
        |path: &str| mounts.iter().find(|m| path.starts_with(&m.mount_path)).unwrap_or_else(|| panic!("{path}"));
    assert_eq!(mount(argument(&arguments, "--pod-resources-socket")).read_only, Some(true));
    assert_eq!(mount(argument(&arguments, "--token-file")).read_only, Some(true));
    assert_eq!(mount(argument(&arguments, "--spool")).read_only, None);
    assert_eq!((pod.host_pid, pod.host_network), (Some(true), Some(true)));

    let account: ServiceAccount = only("ServiceAccount");
    assert_eq!(pod.service_account_name, account.metadata.name);
    let binding: ClusterRoleBinding = only("ClusterRoleBinding");
    let role: ClusterRole = only("ClusterRole");
    assert_eq!(Some(binding.role_ref.name), role.metadata.name);
    assert_eq!(
        binding.subjects.expect("somebody").into_iter().map(|s| Some(s.name)).collect::<Vec<_>>(),
        [account.metadata.name]
    );
    let mut reads = Vec::new();
    for rule in role.rules.expect("it may do something") {
        assert!(rule.verbs.iter().all(|verb| ["get", "list", "watch"].contains(&verb.as_str())), "it only reads");
        reads.extend(rule.resources.into_iter().flatten());
    }
    assert_eq!(reads, ["pods", "resourceslices"]);
}

#[test]
fn the_kustomization_names_files_that_exist_and_can_be_made() {
    let document = &documents("kustomization.yaml")[0];
    let resources = document["resources"].as_array().expect("it has resources");
    let mut kinds = 0;
    for file in resources.iter().map(|file| file.as_str().expect("a name")) {
        kinds += documents(file).len();
    }
    let output = Command::new("kubectl").arg("kustomize").arg(workspace_root().join(FOLDER)).output();
    let Ok(output) = output else { return eprintln!("skipped in part: kubectl is not there to make it") };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("YAML is text");
    assert_eq!(text.lines().filter(|line| line.starts_with("kind: ")).count(), kinds);
    for image in ["image: coulomb-server:0.1.0", "image: coulomb-collector:0.1.0"] {
        assert!(text.contains(image), "{image}");
    }
}

#[test]
fn the_steps_of_the_page_name_what_there_is() {
    let page = read("docs/kubernetes.md");
    let server: StatefulSet = only("StatefulSet");
    let service: Service = only("Service");
    let collector: DaemonSet = only("DaemonSet");
    let volumes = collector.spec.template.spec.and_then(|spec| spec.volumes).expect("it has volumes");
    let secret = volumes.into_iter().find_map(|volume| volume.secret?.secret_name).expect("it reads a secret");
    let named = [
        format!("pod/{}-0", server.metadata.name.expect("it has a name")),
        format!("service/{} 6240", service.metadata.name.expect("it has a name")),
        format!("secret generic {secret} --from-file=token="),
        format!("--kustomize {FOLDER}"),
    ];
    for name in named {
        assert!(page.contains(&name), "docs/kubernetes.md does not name {name}");
    }
}
