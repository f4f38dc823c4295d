//! The signatures by which operators and creator agreed to a definition (EIP-712).
//!
//! They are absent from every cluster that was edited or made on one machine. An account may be a
//! contract (ERC-1271): whether it takes a signature, the chain alone knows. Such a one and a
//! wrong one look alike here, so neither is called valid or invalid.

use super::super::address::Address;
use super::super::check::{Check, named};
use super::super::eip712::{Message, chain_id, signer};
use super::super::json::Hex;
use super::super::version::Version;
use super::{Definition, Operator, SIGNATURE_BYTES};

const CREATOR_SIGNATURE: &str = "creator signature";
const OPERATOR_SIGNATURES: &str = "operator signatures";

/// What came of a signature.
enum Judgement {
    /// The account's key made it.
    Valid,
    /// The account's key did not make it: why, and that it may be a contract's all the same.
    Unknown(String),
    /// It cannot be one.
    Invalid(String),
}

impl Definition {
    /// Looks at a definition that stands alone, in the order in which charon does.
    #[must_use]
    pub fn verify(&self) -> Vec<Check> {
        let mut checks = Vec::from(self.check_hashes());
        checks.extend(self.check_signatures());
        checks
    }

    /// Of the creator, then of the operators.
    pub(in super::super) fn check_signatures(&self) -> [Check; 2] {
        [self.check_creator(), self.check_operators()]
    }

    fn check_creator(&self) -> Check {
        let (name, creator) = (CREATOR_SIGNATURE, &self.creator);
        if self.version < Version::V1_4 {
            return Check::not_applicable(name, format!("{} has no creator", self.version));
        }
        if creator.config_signature.is_empty() {
            return match self.operators.iter().all(Operator::is_unsigned) {
                true if creator.address.is_empty() => Check::not_applicable(name, UNSIGNED),
                true => Check::failed(
                    name,
                    format!("expected a signature by {}, found none", creator.address),
                ),
                false => Check::failed(name, "expected one, as operators have signed, found none"),
            };
        }
        let Some(chain) = chain_id(self.fork_version) else { return self.unknown_chain(name) };
        let digest = Message::creator_config_hash(&self.config_hash).digest(chain);
        match judge(&creator.address, &digest, &creator.config_signature) {
            Judgement::Valid => Check::passed(name),
            Judgement::Unknown(why) => Check::not_applicable(name, format!("{why}; {CONTRACTS}")),
            Judgement::Invalid(why) => Check::failed(name, why),
        }
    }

    fn check_operators(&self) -> Check {
        let name = OPERATOR_SIGNATURES;
        let operators = || (0..).zip(&self.operators);
        if operators().all(|(_, operator)| operator.is_unsigned()) {
            return Check::not_applicable(name, UNSIGNED);
        }
        if self.version < Version::V1_3 {
            return self.check_unsigned();
        }
        let Some(chain) = chain_id(self.fork_version) else { return self.unknown_chain(name) };
        let (mut faults, mut unknown) = (Vec::new(), Vec::new());
        for (index, operator) in operators() {
            for (kind, verdict) in self.judge_operator(operator, chain) {
                match verdict {
                    Judgement::Valid => (),
                    Judgement::Unknown(why) => {
                        unknown.push(format!("operator {index}, {kind}: {why}"))
                    }
                    Judgement::Invalid(why) => {
                        faults.push(format!("operator {index}, {kind}: {why}"))
                    }
                }
            }
        }
        match (faults.is_empty(), unknown.is_empty()) {
            (true, true) => Check::passed(name),
            (true, false) => {
                let verified = 2 * self.operators.len() - unknown.len();
                let why = format!("{}; {CONTRACTS}; the other {verified} verify", named(&unknown));
                Check::not_applicable(name, why)
            }
            (false, _) => Check::faultless(name, &faults),
        }
    }

    /// Up to v1.2.0 there were accounts, but charon knows no signatures of theirs.
    fn check_unsigned(&self) -> Check {
        let signed = (0..).zip(&self.operators).filter_map(|(index, operator)| {
            let has_signed =
                !operator.config_signature.is_empty() || !operator.enr_signature.is_empty();
            has_signed.then(|| format!("operator {index}: expected no signature, found one"))
        });
        let signed: Vec<_> = signed.collect();
        let (name, version) = (OPERATOR_SIGNATURES, self.version);
        match signed.is_empty() {
            true => Check::not_applicable(name, format!("{version} has none")),
            false => Check::faultless(name, &signed),
        }
    }

    fn unknown_chain(&self, name: &str) -> Check {
        let fork = Hex(&self.fork_version);
        Check::not_applicable(
            name,
            format!("which chain has fork version {fork} is not known here"),
        )
    }

    fn judge_operator(&self, operator: &Operator, chain: u64) -> [(&'static str, Judgement); 2] {
        let config = match self.version < Version::V1_4 {
            true => Message::config_hash(&self.config_hash),
            false => Message::operator_config_hash(&self.config_hash),
        };
        let judge = |message: Message<'_>, signature| {
            judge(&operator.address, &message.digest(chain), signature)
        };
        [
            ("config signature", judge(config, &operator.config_signature)),
            ("ENR signature", judge(Message::enr(&operator.enr), &operator.enr_signature)),
        ]
    }
}

/// Who signed the digest: the account, nobody that can be told, nobody.
fn judge(account: &Address, digest: &[u8; 32], signature: &[u8]) -> Judgement {
    let Some(address) = account.bytes() else {
        return Judgement::Invalid("expected the address of who signed, found none".into());
    };
    let signature = match signature.as_chunks::<SIGNATURE_BYTES>() {
        ([], []) => {
            return Judgement::Invalid(format!("expected one by {account}, found none"));
        }
        ([signature], []) => signature,
        (several, []) => {
            let why = format!("{} signatures for {account}", several.len());
            return Judgement::Unknown(why);
        }
        _ => {
            let found = signature.len();
            let why = format!("expected {SIGNATURE_BYTES} bytes, found {found}");
            return Judgement::Invalid(why);
        }
    };
    match signer(digest, signature) {
        Some(signer) if signer == address => Judgement::Valid,
        Some(signer) => {
            let signer = Hex(&signer);
            Judgement::Unknown(format!("by {signer}, not by {account}"))
        }
        None => Judgement::Unknown(format!("by no key, thus not by that of {account}")),
    }
}

const UNSIGNED: &str = "the definition is unsigned, as that of every edited cluster";

/// Of those that are neither valid nor invalid.
const CONTRACTS: &str =
    "such a signature may be that of a contract (ERC-1271), which cannot be checked offline";
