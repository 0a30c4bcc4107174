//! A Kubernetes Job of a plan: a block for each index. Nothing here speaks to Kubernetes.

use super::PlanFolder;

/// The manifest, for `kubectl apply -f -`. `image` has the plan's program at `/paceline`, `claim` the plan's folder.
///
/// # Panics
///
/// Never: what is printed is plain data.
#[must_use]
pub fn manifest(plan: &PlanFolder, image: &str, claim: &str, cpus: u32) -> String {
    let short: String = plan.hash.chars().take(10).collect();
    let (count, most) = (plan.plan.blocks.len(), super::status::MOST_ATTEMPTS - 1);
    let seconds = plan.plan.budget_seconds.ceil() as u64 + 300;
    let manifest = serde_json::json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": { "name": format!("paceline-{short}") },
        "spec": {
            "completionMode": "Indexed",
            "completions": count,
            "parallelism": 1,
            "backoffLimitPerIndex": most,
            "podReplacementPolicy": "Failed",
            "template": { "spec": {
                "restartPolicy": "Never",
                "activeDeadlineSeconds": seconds,
                "containers": [{
                    "name": "work",
                    "image": image,
                    "command": ["sh", "-c", "exec /paceline cluster work /plan `printf %04d $JOB_COMPLETION_INDEX`"],
                    "env": [
                        { "name": "PACELINE_NODE_NAME", "valueFrom": { "fieldRef": { "fieldPath": "spec.nodeName" } } },
                        { "name": "PACELINE_JOB", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } },
                    ],
                    // Requests that equal limits, in whole CPUs: the static CPU manager then gives CPUs of their own.
                    "resources": {
                        "requests": { "cpu": cpus.to_string(), "memory": "4Gi" },
                        "limits": { "cpu": cpus.to_string(), "memory": "4Gi" },
                    },
                    "volumeMounts": [{ "name": "plan", "mountPath": "/plan" }],
                }],
                "volumes": [{ "name": "plan", "persistentVolumeClaim": { "claimName": claim } }],
            } },
        },
    });
    let text = serde_json::to_string_pretty(&manifest).expect("it is plain data");
    format!("# Not run by us: written by the Kubernetes API's documentation, batch/v1.\n{text}\n")
}
