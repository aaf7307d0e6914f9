//! What congestion notification becomes where a tunnel ends (RFC 6040).

/// Explicit congestion notification (RFC 3168): the last two bits of the traffic class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ecn {
    NotCapable,
    Capable1,
    Capable0,
    Experienced,
}

impl Ecn {
    #[inline(always)]
    pub const fn of(class: u8) -> Self {
        match class & 3 {
            0 => Self::NotCapable,
            1 => Self::Capable1,
            2 => Self::Capable0,
            _three => Self::Experienced,
        }
    }

    #[inline(always)]
    pub const fn bits(self) -> u8 {
        match self {
            Self::NotCapable => 0,
            Self::Capable1 => 1,
            Self::Capable0 => 2,
            Self::Experienced => 3,
        }
    }

    /// What an inner packet has outside of the tunnel (RFC 6040, figure 4); nothing where it is to be
    /// dropped.
    #[inline(always)]
    pub const fn out_of(self, outer: Self) -> Option<Self> {
        match (self, outer) {
            (Self::NotCapable, Self::Experienced) => None,
            (Self::NotCapable, _) => Some(self),
            (_, Self::Experienced) => Some(Self::Experienced),
            (Self::Capable0, Self::Capable1) => Some(Self::Capable1),
            (Self::Capable0 | Self::Capable1 | Self::Experienced, _) => Some(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Ecn::{self, Capable0, Capable1, Experienced, NotCapable};

    #[test]
    fn congestion_is_as_rfc_6040_says() {
        let outer = [NotCapable, Capable0, Capable1, Experienced];
        let rows: [(Ecn, [Option<Ecn>; 4]); 4] = [
            (
                NotCapable,
                [Some(NotCapable), Some(NotCapable), Some(NotCapable), None],
            ),
            (
                Capable0,
                [
                    Some(Capable0),
                    Some(Capable0),
                    Some(Capable1),
                    Some(Experienced),
                ],
            ),
            (
                Capable1,
                [
                    Some(Capable1),
                    Some(Capable1),
                    Some(Capable1),
                    Some(Experienced),
                ],
            ),
            (Experienced, [Some(Experienced); 4]),
        ];
        for (inner, expected) in rows {
            for (outer, expected) in outer.into_iter().zip(expected) {
                assert_eq!(inner.out_of(outer), expected, "{inner:?} in {outer:?}");
            }
        }
        for bits in 0..4 {
            assert_eq!(Ecn::of(bits | 0xfc).bits(), bits);
        }
    }
}
