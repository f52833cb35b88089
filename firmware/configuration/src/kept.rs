use embedded_storage_async::nor_flash::NorFlash;

use crate::{
    COPY_BYTES, OpenError, Place, Settings, Standing, Unreadable,
    copy::{Said, decode, read},
};

/// The block in a board's flash, and what the board works with since it started.
#[derive(Clone, Copy, Debug)]
pub struct Kept<'a> {
    /// What it works with.
    pub settings: Settings<'a>,
    version: u32,
    standing: Standing,
    start: u32,
    /// Where the next copy goes, and its generation.
    spare: Place,
    next: u32,
}

/// What became of settings that the node gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// They are in flash, to be tried from the next start on.
    Stored,
    /// The board works with them.
    Held,
    /// They were tried before, and undone.
    Undone,
    /// They are no settings, or not of this board: its id differs, or the one has Wi-Fi and the other has not.
    Malformed,
}

impl<'a> Kept<'a> {
    /// Reads the block whose first copy is at `start` of `flash`, and whose second is one erase behind it. Settings that are
    /// to be tried are on trial from here on: the block says that they were undone, so that every further start is one
    /// with those before, unless [`Kept::confirm`] comes first. `bytes` is where the settings stay.
    ///
    /// # Errors
    ///
    /// The flash failed, or no copy is whole.
    pub async fn open<S: NorFlash>(
        flash: &mut S,
        start: u32,
        bytes: &'a mut [u8; COPY_BYTES],
    ) -> Result<Kept<'a>, OpenError<S::Error>> {
        let mut other = [0; COPY_BYTES];
        for (place, copy) in [(Place::First, &mut *bytes), (Place::Second, &mut other)] {
            let read = flash.read(address::<S>(start, place), copy).await;
            read.map_err(OpenError::Flash)?;
        }
        let holder = read(bytes, &other).map_err(OpenError::Unreadable)?.place;
        if holder == Place::Second {
            core::mem::swap(bytes, &mut other);
        }
        // It was whole a moment ago.
        let said = decode(bytes).map_err(|error| {
            let (first, second) = (error, error);
            OpenError::Unreadable(Unreadable { first, second })
        })?;
        let mut kept = Kept {
            settings: said.settings,
            version: said.version,
            standing: said.standing,
            start,
            spare: holder.other(),
            next: said.generation.saturating_add(1),
        };
        match (said.standing, decode(&other)) {
            (Standing::Trial, Ok(before)) => {
                let undone = Said {
                    standing: Standing::Undid(said.version),
                    generation: kept.next,
                    ..before
                };
                let written = write(flash, address::<S>(start, holder), &undone).await;
                written.map_err(OpenError::Flash)?;
                kept.next = kept.next.saturating_add(1);
            }
            // There is nothing to go back to.
            (Standing::Trial, Err(_)) => kept.standing = Standing::Holds,
            _ => {}
        }
        Ok(kept)
    }

    /// The node's number of these settings; 0 for those that were provisioned.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Whether they were tried, hold, or follow on others that were undone.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// Stores other settings, as a copy of the block says them, to be tried from the next start on. The copy that holds
    /// stays. Whose number the board knows is not stored again.
    ///
    /// # Errors
    ///
    /// The flash failed.
    pub async fn give<S: NorFlash>(
        &mut self,
        flash: &mut S,
        version: u32,
        copy: &[u8],
    ) -> Result<Given, S::Error> {
        if version == self.version {
            return Ok(Given::Held);
        }
        if self.standing == Standing::Undid(version) {
            return Ok(Given::Undone);
        }
        let Ok(said) = decode(copy) else {
            return Ok(Given::Malformed);
        };
        let (given, own) = (said.settings, self.settings);
        if given.id != own.id || given.wifi.is_some() != own.wifi.is_some() {
            return Ok(Given::Malformed);
        }
        let tried = Said {
            version,
            standing: Standing::Trial,
            generation: self.next,
            ..said
        };
        write(flash, address::<S>(self.start, self.spare), &tried).await?;
        Ok(Given::Stored)
    }

    /// Has the settings that are on trial hold from here on, and every further start be one with them.
    ///
    /// # Errors
    ///
    /// The flash failed.
    pub async fn confirm<S: NorFlash>(&mut self, flash: &mut S) -> Result<(), S::Error> {
        if self.standing != Standing::Trial {
            return Ok(());
        }
        let held = Said {
            settings: self.settings,
            version: self.version,
            standing: Standing::Holds,
            generation: self.next,
        };
        write(flash, address::<S>(self.start, self.spare), &held).await?;
        self.standing = Standing::Holds;
        self.spare = self.spare.other();
        self.next = self.next.saturating_add(1);
        Ok(())
    }
}

fn address<S: NorFlash>(start: u32, place: Place) -> u32 {
    match place {
        Place::First => start,
        Place::Second => start.saturating_add(page_bytes::<S>()),
    }
}

async fn write<S: NorFlash>(flash: &mut S, at: u32, said: &Said<'_>) -> Result<(), S::Error> {
    let mut copy = [0; COPY_BYTES];
    said.encode(&mut copy);
    let end = at.saturating_add(page_bytes::<S>());
    flash.erase(at, end).await?;
    // What is erased is left so.
    let len = copy.iter().rposition(|byte| *byte != 0xff);
    let len = len.map_or(0, |last| last.saturating_add(1));
    let written = copy.get(..len.next_multiple_of(S::WRITE_SIZE.max(1)));
    flash.write(at, written.unwrap_or(&copy)).await
}

fn page_bytes<S: NorFlash>() -> u32 {
    u32::try_from(S::ERASE_SIZE).unwrap_or(u32::MAX)
}
