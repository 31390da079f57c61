//! The Kubernetes manifests in `deploy/k8s`, against the API's types (`schema`) and the rules of this project (`rules`).

mod figures;
mod guide;
mod kustomization;
mod kustomize;
mod migration;
mod network;
mod platform;
mod rules;
mod schema;
